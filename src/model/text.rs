//! Texts for people in the two languages of the reports.

use serde::{Deserialize, Serialize};

use super::time::Span;

/// A language reports are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English.
    En,
    /// Chinese (simplified).
    Zh,
}

impl Lang {
    /// A colon or what stands for it: Chinese sets its own, without a blank.
    #[must_use]
    pub const fn colon(self) -> &'static str {
        match self {
            Self::En => ": ",
            Self::Zh => "：",
        }
    }
}

/// A span as it is written in `lang`: `1m30s`, or `1 分 30 秒`.
#[must_use]
pub fn span_in(span: Span, lang: Lang) -> String {
    const UNITS: [(u64, &str, &str); 5] =
        [(86_400_000, "天", "天"), (3_600_000, "小时", "小时"), (60_000, "分", "分钟"), (1000, "秒", "秒"), (1, "毫秒", "毫秒")];
    if lang == Lang::En {
        return span.to_string();
    }
    let mut rest = span.as_millis();
    let mut parts = Vec::new();
    for (unit, word, alone) in UNITS {
        if rest >= unit {
            let word = if parts.is_empty() && rest.is_multiple_of(unit) { alone } else { word };
            parts.push(format!("{} {word}", rest / unit));
            rest %= unit;
        }
    }
    if parts.is_empty() { "0 秒".to_owned() } else { parts.join(" ") }
}

/// A text in English and Chinese. Where only one was written it serves for both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub en: Option<String>,
    /// Chinese.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zh: Option<String>,
}

impl Text {
    /// The text in `lang`, else in the other language, else empty.
    #[must_use]
    pub fn get(&self, lang: Lang) -> &str {
        let (first, second) = match lang {
            Lang::En => (&self.en, &self.zh),
            Lang::Zh => (&self.zh, &self.en),
        };
        first.as_deref().or(second.as_deref()).unwrap_or("")
    }
}
