//! Where we stand: positions, working and in-flight orders, profit, funding. Decides nothing.
