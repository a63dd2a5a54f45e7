//! The pure part: languages, plan, events and what follows from events. No tokio, no I/O, no clock.

pub mod call;
pub mod chain;
pub mod credentials;
pub mod decode;
pub mod diagnostic;
pub mod difference;
pub mod dns;
pub mod domain;
pub mod event;
pub mod expression;
pub mod failure;
pub mod forecast;
pub mod guard;
pub mod interval;
pub mod lab;
pub mod measure;
pub mod order;
pub mod plan;
pub mod project;
pub mod runbook;
pub mod scenario;
pub mod state;
pub mod text;
pub mod time;
pub mod written;
pub mod yaml;
