//! Which key signs: keys that were given, the environment, or a profile of `~/.aliyun/config.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use super::config::StaticKeys;
use crate::ports::{Cloud, CloudError, Kind};

/// Larger configuration files are not read.
const LARGEST: u64 = 1 << 20;

/// The places that are looked at, in order. What was found is kept until a service calls it expired.
#[derive(Debug)]
pub(super) struct Chain {
    given: Option<Arc<StaticKeys>>,
    profile: Option<String>,
    found: Mutex<Option<Arc<StaticKeys>>>,
}

impl Chain {
    pub(super) fn new(given: Option<StaticKeys>, profile: Option<String>) -> Self {
        given.iter().for_each(StaticKeys::keep);
        Self { given: given.map(Arc::new), profile, found: Mutex::new(None) }
    }

    /// The key.
    ///
    /// # Errors
    /// [`Kind::Denied`] when there is none; the message says where it was looked for.
    pub(super) fn key(&self, operation: &str) -> Result<Arc<StaticKeys>, CloudError> {
        let mut found = self.lock();
        if let Some(key) = self.given.as_ref().or(found.as_ref()) {
            return Ok(Arc::clone(key));
        }
        let key = look(self.profile.as_deref(), &|name| std::env::var(name).ok());
        let key = Arc::new(key.map_err(|message| CloudError::new(Cloud::Aliyun, operation, Kind::Denied, message))?);
        key.keep();
        *found = Some(Arc::clone(&key));
        Ok(key)
    }

    /// Looks anew at the next call: whoever renews temporary keys writes them where these were found.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<StaticKeys>>> {
        // A key is whole after any panic.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks through environment and file.
fn look(profile: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> Result<StaticKeys, String> {
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    // A profile that was named is the account that is meant; keys that happen to be in the environment are not.
    if profile.is_none()
        && let (Some(access_key_id), Some(secret_access_key)) = (env("ALIBABA_CLOUD_ACCESS_KEY_ID"), env("ALIBABA_CLOUD_ACCESS_KEY_SECRET"))
    {
        return Ok(StaticKeys { access_key_id, secret_access_key, session_token: env("ALIBABA_CLOUD_SECURITY_TOKEN") });
    }
    let in_environment = if profile.is_none() { "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, " } else { "" };
    if profile.is_none() && env("ALIBABA_CLOUD_CLI_PROFILE_DISABLED").is_some_and(|disabled| disabled.eq_ignore_ascii_case("true")) {
        return Err(format!("no credentials: looked for {in_environment}and ALIBABA_CLOUD_CLI_PROFILE_DISABLED forbids profiles"));
    }
    let Some(path) = env("HOME").map(|home| PathBuf::from(home).join(".aliyun/config.json")) else {
        return Err(format!("no credentials: looked for {in_environment}and HOME is not set, so there is no ~/.aliyun/config.json"));
    };
    let file = read(&path).map_err(|why| format!("no credentials: looked for {in_environment}profiles in {}: {why}", path.display()))?;
    let name = profile.map(str::to_owned).or_else(|| env("ALIBABA_CLOUD_PROFILE")).or(file.current).unwrap_or_else(|| "default".to_owned());
    let Some(profile) = file.profiles.into_iter().find(|profile| profile.name == name) else {
        return Err(format!("no credentials: looked for {in_environment}profile `{name}` in {}, which has none of this name", path.display()));
    };
    profile.keys().map_err(|why| format!("no credentials: profile `{name}` in {} {why}", path.display()))
}

fn read(path: &Path) -> Result<File, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > LARGEST {
        return Err("the file is larger than 1 MiB".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    // The parser's own message could quote a secret; its place is enough.
    serde_json::from_str(&text).map_err(|error| format!("not the JSON that was expected, line {} column {}", error.line(), error.column()))
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    current: Option<String>,
    #[serde(default)]
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    #[serde(default)]
    name: String,
    #[serde(default)]
    mode: String,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

impl Profile {
    fn keys(&self) -> Result<StaticKeys, String> {
        let text = |name: &str| self.rest.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let need = |name: &str| text(name).ok_or_else(|| format!("has no {name}"));
        let session_token = match self.mode.as_str() {
            "AK" | "" => None,
            "StsToken" => Some(need("sts_token")?),
            other => return Err(format!("has mode `{other}`; AK and StsToken are supported")),
        };
        Ok(StaticKeys { access_key_id: need("access_key_id")?, secret_access_key: need("access_key_secret")?, session_token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"current": "drill", "profiles": [
        {"name": "drill", "mode": "AK", "access_key_id": "LTAIdrill", "access_key_secret": "s3cr3t-drill", "region_id": "cn-hangzhou"},
        {"name": "temporary", "mode": "StsToken", "access_key_id": "STS.x", "access_key_secret": "s3cr3t-t", "sts_token": "t0ken"},
        {"name": "role", "mode": "EcsRamRole", "ram_role_name": "r"},
        {"name": "half", "mode": "AK", "access_key_id": "LTAIhalf", "access_key_secret": ""}
    ]}"#;

    /// Looks with a home whose file has `text`, and these variables.
    fn check(text: Option<&str>, profile: Option<&str>, variables: &[(&str, &str)]) -> Result<StaticKeys, String> {
        let home = tempfile::tempdir().unwrap();
        if let Some(text) = text {
            std::fs::create_dir(home.path().join(".aliyun")).unwrap();
            std::fs::write(home.path().join(".aliyun/config.json"), text).unwrap();
        }
        let home = home.path().to_str().unwrap().to_owned();
        let mut variables: BTreeMap<String, String> = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        variables.insert("HOME".to_owned(), home);
        look(profile, &|name| variables.get(name).cloned())
    }

    const IN_ENVIRONMENT: [(&str, &str); 2] = [("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAIenv"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s3cr3t-env")];

    #[test]
    fn the_environment_comes_before_the_file_and_a_named_profile_before_both() {
        let id = |profile: Option<&str>, variables: &[(&str, &str)]| check(Some(FILE), profile, variables).unwrap().access_key_id;
        assert_eq!(id(None, &IN_ENVIRONMENT), "LTAIenv");
        assert_eq!(id(Some("drill"), &IN_ENVIRONMENT), "LTAIdrill");
        assert_eq!(id(None, &[]), "LTAIdrill", "what the file calls current");
        assert_eq!(id(None, &[("ALIBABA_CLOUD_PROFILE", "temporary")]), "STS.x");
        assert_eq!(check(Some(FILE), Some("temporary"), &[]).unwrap().session_token.as_deref(), Some("t0ken"));
        let with_token = [IN_ENVIRONMENT[0], IN_ENVIRONMENT[1], ("ALIBABA_CLOUD_SECURITY_TOKEN", "t1")];
        assert_eq!(check(None, None, &with_token).unwrap().session_token.as_deref(), Some("t1"));
    }

    #[test]
    fn an_error_says_where_was_looked_and_no_secret() {
        let says = |text: Option<&str>, profile: Option<&str>, variables: &[(&str, &str)], expected: &[&str]| {
            let message = check(text, profile, variables).unwrap_err();
            for part in expected {
                assert!(message.contains(part), "`{part}` is not in: {message}");
            }
            assert!(!message.contains("s3cr3t"), "{message}");
        };
        says(None, None, &[], &["ALIBABA_CLOUD_ACCESS_KEY_ID", ".aliyun/config.json"]);
        says(Some(FILE), Some("nobody"), &IN_ENVIRONMENT, &["profile `nobody`", "config.json"]);
        says(Some(FILE), Some("role"), &[], &["`EcsRamRole`", "AK and StsToken"]);
        says(Some(FILE), Some("half"), &[], &["has no access_key_secret"]);
        says(Some("{\"profiles\": [\"s3cr3t\"]}"), None, &[], &["line 1"]);
        says(Some(FILE), None, &[("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true")], &["ALIBABA_CLOUD_CLI_PROFILE_DISABLED"]);
    }
}
