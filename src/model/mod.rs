//! Artifact verification, ONNX loading, native kernels. Never trains, never allocates after load, never falls back silently.
