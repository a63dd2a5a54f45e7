//! The pictures of a report, as SVG: figures of its sections.

mod lag;
mod share;
mod svg;
mod timeline;
