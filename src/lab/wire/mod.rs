//! Bytes to calls and answers to bytes, and the verification of signatures.

pub mod aws_answer;
pub mod aws_query;
pub mod sigv4;
pub mod xml;
