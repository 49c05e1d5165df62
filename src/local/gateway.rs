//! The gateway: one loopback endpoint for all AWS services. What it does not own it passes on unchanged.
