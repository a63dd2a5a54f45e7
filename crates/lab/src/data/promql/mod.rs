//! The part of PromQL that recovery criteria need: selectors with all matchers, `rate` and its like, aggregations, arithmetic and comparison.
//!
//! [`parse`](mod@parse) makes of text an [`Expr`](parse::Expr) with promql-parser, [`eval`](mod@eval) computes it at one moment over the history.

pub(super) mod eval;
pub(super) mod parse;
