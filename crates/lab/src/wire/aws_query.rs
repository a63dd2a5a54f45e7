//! Between a form body and EC2 or STS: the parameters of AWS's Query protocol, with its numbered lists.

use std::collections::BTreeMap;

use http::request::Parts;

use super::aws_answer::ApiError;

/// More parameters than any call needs.
const MAX_PARAMETERS: usize = 5000;

/// The parameters of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    by_name: BTreeMap<String, String>,
}

impl Parameters {
    /// From the query string and the form body; the body wins.
    ///
    /// # Errors
    /// `MalformedQueryString` when there are too many.
    pub fn read(parts: &Parts, body: &[u8]) -> Result<Self, ApiError> {
        let mut by_name = BTreeMap::new();
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        for (name, value) in url::form_urlencoded::parse(query).chain(url::form_urlencoded::parse(body)) {
            if by_name.len() == MAX_PARAMETERS {
                return Err(ApiError::new("MalformedQueryString", "The query string contains too many parameters."));
            }
            by_name.insert(name.into_owned(), value.into_owned());
        }
        Ok(Self { by_name })
    }

    /// All of them, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_name.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter that is there and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// `MissingParameter`.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::new("MissingParameter", format!("The request must contain the parameter {name}")))
    }

    /// A truth value, false when it is not there.
    ///
    /// # Errors
    /// `InvalidParameterValue` for anything but true and false.
    pub fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name) {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => {
                Err(ApiError::new("InvalidParameterValue", format!("Value ({value}) for parameter {name} is invalid. Expected a boolean value.")))
            }
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// `InvalidParameterValue` for anything else.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.get(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    ApiError::new("InvalidParameterValue", format!("Value ({value}) for parameter {name} is invalid. Expected an integer."))
                })
            })
            .transpose()
    }

    /// The values of `name.1`, `name.2`, … in the order of their numbers.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.indexes(name).into_iter().filter_map(|index| self.get(&format!("{name}.{index}"))).collect()
    }

    /// The prefixes `name.1`, `name.2`, … of a list of structures.
    #[must_use]
    pub fn members(&self, name: &str) -> Vec<String> {
        self.indexes(name).into_iter().map(|index| format!("{name}.{index}")).collect()
    }

    fn indexes(&self, name: &str) -> Vec<u32> {
        let prefix = format!("{name}.");
        let mut indexes: Vec<u32> = self
            .by_name
            .range(prefix.clone()..)
            .take_while(|(key, _)| key.starts_with(&prefix))
            .filter_map(|(key, _)| key[prefix.len()..].split('.').next()?.parse().ok())
            .collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes
    }

    /// Everything but what differs between a call and its repetition; two calls with one client token must agree in it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        for (name, value) in self.by_name.iter().filter(|(name, _)| *name != "DryRun") {
            hash.update(format!("{}:{name}={}:{value};", name.len(), value.len()));
        }
        hex::encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Parameters {
        let parts = http::Request::builder().uri("/?Version=2016-11-15").body(()).unwrap().into_parts().0;
        Parameters::read(&parts, body.as_bytes()).unwrap()
    }

    #[test]
    fn lists_come_in_the_order_of_their_numbers() {
        let call =
            read("Action=X&InstanceId.10=c&InstanceId.2=b&InstanceId.1=a&InstanceIdent=z&Filter.1.Name=tag%3Arole&Filter.1.Value.1=%E5%8C%BA+a%2Bb");
        assert_eq!(call.list("InstanceId"), ["a", "b", "c"]);
        assert_eq!(call.members("Filter"), ["Filter.1"]);
        assert_eq!(call.list("Filter.1.Value"), ["区 a+b"]);
        assert_eq!(call.get("Version"), Some("2016-11-15"));
        assert!(call.list("Nothing").is_empty());
    }

    #[test]
    fn wrong_values_are_the_vendors_faults() {
        let call = read("DryRun=perhaps&MaxResults=x&Empty=");
        assert_eq!(call.flag("DryRun").unwrap_err().code, "InvalidParameterValue");
        assert_eq!(call.number::<u32>("MaxResults").unwrap_err().code, "InvalidParameterValue");
        assert_eq!(call.required("Empty").unwrap_err().code, "MissingParameter");
    }

    #[test]
    fn too_many_parameters_are_refused() {
        let parts = http::Request::builder().uri("/").body(()).unwrap().into_parts().0;
        let body: String = (0..6000).map(|n| format!("a{n}=1&")).collect();
        assert_eq!(Parameters::read(&parts, body.as_bytes()).unwrap_err().code, "MalformedQueryString");
    }
}
