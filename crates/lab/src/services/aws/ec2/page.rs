//! Pages of `Describe…` calls: `MaxResults`, and a token that names the last thing given.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;

/// What one page is.
pub(super) struct Page<'a, T> {
    pub(super) items: Vec<&'a T>,
    next: Option<String>,
}

impl<'a, T> Page<'a, T> {
    /// Cuts the page that is asked for out of `all`, which must be sorted by id. `MaxResults` may be 5..=1000; `most` things come at once.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a size out of range or a token that is not ours.
    pub(super) fn cut(parameters: &Parameters, mut all: Vec<&'a T>, most: usize, id: impl Fn(&T) -> &str) -> Result<Self, ApiError> {
        let size = match parameters.number::<usize>("MaxResults")? {
            None => most,
            Some(size) if (5..=1000).contains(&size) => size.min(most),
            Some(size) => {
                let expected = if size < 5 { "greater than 5" } else { "less than 1000" };
                return Err(ApiError::new(
                    "InvalidParameterValue",
                    format!("Value ( {size} ) for parameter maxResults is invalid. Expecting a value {expected}."),
                ));
            }
        };
        if let Some(token) = parameters.get("NextToken") {
            let last = URL_SAFE_NO_PAD
                .decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .and_then(|text| text.strip_prefix("after:").map(str::to_owned))
                .ok_or_else(|| ApiError::new("InvalidParameterValue", format!("Value ( {token} ) for parameter nextToken is invalid.")))?;
            all.retain(|thing| id(thing) > last.as_str());
        }
        let rest = all.split_off(size.min(all.len()));
        let next = all.last().filter(|_| !rest.is_empty()).map(|last| URL_SAFE_NO_PAD.encode(format!("after:{}", id(last))));
        Ok(Self { items: all, next })
    }

    /// Writes the token of the next page, if there is one.
    pub(super) fn write_token(&self, answer: &mut Answer) {
        if let Some(next) = &self.next {
            answer.text("nextToken", next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        let parts = http::Request::builder().uri(format!("/?{query}")).body(()).unwrap().into_parts().0;
        Parameters::read(&parts, b"").unwrap()
    }

    #[test]
    fn pages_give_everything_once() {
        let all: Vec<String> = (0..12).map(|n| format!("i-{n:02}")).collect();
        let mut seen = Vec::new();
        let mut token = String::new();
        loop {
            let page = Page::cut(&parameters(&format!("MaxResults=5{token}")), all.iter().collect(), 1000, |id| id).unwrap();
            seen.extend(page.items.iter().map(|id| (*id).clone()));
            match page.next {
                Some(next) => token = format!("&NextToken={next}"),
                None => break,
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn sizes_and_tokens_are_checked() {
        let all = ["i-1".to_owned()];
        for query in ["MaxResults=4", "MaxResults=1001", "MaxResults=x", "NextToken=nonsense"] {
            assert_eq!(Page::cut(&parameters(query), all.iter().collect(), 1000, |id| id).err().unwrap().code, "InvalidParameterValue", "{query}");
        }
    }
}
