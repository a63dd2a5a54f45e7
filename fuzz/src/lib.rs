//! What the fuzz targets do with their bytes: nothing here may panic, overflow its stack or go on for ever, whatever the bytes are.
//!
//! Each target is one function of bytes. `fuzz_targets/` gives it to libFuzzer; `tests/it/fuzz_regressions.rs` reads this very file and gives it
//! the kept corpus and every input that once broke something, so that both are tested without a fuzzer.

mod aliyun;
#[cfg(feature = "aws")]
mod aws;
mod definitions;
mod expression;
mod http_text;
mod journal;
mod lab;
mod signatures;

pub use aliyun::aliyun;
#[cfg(feature = "aws")]
pub use aws::aws;
pub use definitions::definitions;
pub use expression::expression;
pub use journal::journal;
pub use lab::{lab_aliyun, lab_aws, lab_dns, lab_oss, lab_prometheus};
pub use signatures::signatures;

/// A target's name, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target by its name.
pub const TARGETS: &[Target] = &[
    ("definitions", definitions),
    ("expression", expression),
    ("journal", journal),
    ("aliyun", aliyun),
    #[cfg(feature = "aws")]
    ("aws", aws),
    ("lab_aws", lab_aws),
    ("lab_aliyun", lab_aliyun),
    ("lab_oss", lab_oss),
    ("lab_dns", lab_dns),
    ("lab_prometheus", lab_prometheus),
    ("signatures", signatures),
];
