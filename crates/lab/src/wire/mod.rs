//! Bytes to calls and answers to bytes, and the verification of signatures.

pub mod acs3;
pub mod aliyun_rpc;
pub mod aws_answer;
pub mod aws_query;
pub mod cbor;
pub mod oss_v4;
pub mod sigv4;
pub mod smithy;
#[cfg(test)]
pub(crate) mod vectors;
pub mod xml;
