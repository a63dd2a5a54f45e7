//! Bytes to calls and answers to bytes, and the verification of signatures.
