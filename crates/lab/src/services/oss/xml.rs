//! The XML that OSS answers with.

use quick_xml::escape::escape;

use super::ApiError;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// `<name>text</name>`, escaped.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// A document around elements that are XML already.
pub(super) fn document(name: &str, elements: &str) -> String {
    format!("{HEAD}<{name}>{elements}</{name}>")
}

/// The document of an error.
pub(super) fn error(error: &ApiError, request_id: &str, host: &str) -> String {
    let mut text = element("Code", error.code) + &element("Message", &error.message);
    text += &(element("RequestId", request_id) + &element("HostId", host));
    for (name, value) in &error.more {
        text += &element(name, value);
    }
    document("Error", &(text + &element("EC", error.detail)))
}
