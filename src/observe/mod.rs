//! Latency histograms, metrics, health, dashboard. Never waits on a stage, never makes one wait.
