//! models_saved: versions, hashes, stages. Moves no pointer without the gate.
