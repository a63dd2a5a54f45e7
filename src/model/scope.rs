//! What expressions see of a run before its first step: `env` and `vars`. Where the run is stands in `env`; here it is typed.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::call::Cloud;
use super::whereabouts::{self, Whereabouts};

/// The key of the environment.
const ENV: &str = "env";

/// `env` and `vars` of a plan, with the world that `env` describes. Written as `env` and `vars` alone: the world is read from them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Map<String, Value>")]
pub struct Scope {
    seen: Map<String, Value>,
    whereabouts: Whereabouts,
}

impl Scope {
    /// What expressions see.
    #[must_use]
    pub const fn seen(&self) -> &Map<String, Value> {
        &self.seen
    }

    /// The world that the run is in.
    #[must_use]
    pub const fn whereabouts(&self) -> &Whereabouts {
        &self.whereabouts
    }

    /// Says in which world the run is. What `env` says beside that stays.
    pub fn place(&mut self, whereabouts: Whereabouts) {
        if let Some(env) = self.env() {
            env.extend(whereabouts.to_env());
            self.whereabouts = whereabouts;
        }
    }

    /// Says whose the account of a cloud is, where the environment did not. A cloud that the run does not have stays absent.
    pub fn know(&mut self, cloud: Cloud, account: &str) {
        if let Some(env) = self.env() {
            whereabouts::name_account(env, cloud, account);
            *self = Self::from(std::mem::take(&mut self.seen));
        }
    }

    fn env(&mut self) -> Option<&mut Map<String, Value>> {
        self.seen.get_mut(ENV).and_then(Value::as_object_mut)
    }
}

impl From<Map<String, Value>> for Scope {
    fn from(seen: Map<String, Value>) -> Self {
        let whereabouts = seen.get(ENV).map(Whereabouts::of_env).unwrap_or_default();
        Self { seen, whereabouts }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.seen.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope(json: Value) -> Scope {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_scope_is_written_as_it_was_read() {
        for written in [
            json!({}),
            json!({ "vars": { "a": 1 } }),
            json!({ "env": null, "vars": {} }),
            json!({ "env": { "name": "prod", "aws": { "region": "us-east-1", "account": null, "profile": "p" }, "aliyun": null }, "vars": {}, "more": [1] }),
            json!({ "env": { "lab": { "control": "http://127.1.0.1:1", "embedded": true } } }),
        ] {
            let text = written.to_string();
            assert_eq!(serde_json::to_string(&scope(written)).unwrap(), text);
        }
        assert!(serde_json::from_value::<Scope>(json!([])).is_err());
    }

    #[test]
    fn an_account_that_is_known_later_stands_in_both() {
        let mut scope = scope(json!({ "env": { "name": "prod", "aws": { "region": "us-east-1", "account": null }, "aliyun": null } }));
        scope.know(Cloud::Aws, "111122223333");
        scope.know(Cloud::Aliyun, "1");
        assert_eq!(json!(scope), json!({ "env": { "name": "prod", "aws": { "region": "us-east-1", "account": "111122223333" }, "aliyun": null } }));
        assert_eq!((scope.whereabouts().account(Cloud::Aws), scope.whereabouts().account(Cloud::Aliyun)), (Some("111122223333"), None));
    }

    #[test]
    fn a_place_is_the_same_when_it_is_read_again() {
        let lab = Whereabouts::of_env(
            &json!({ "lab": { "id": "a", "control": "http://127.1.0.1:1", "embedded": false, "world": "d1" }, "aws": { "region": "us-east-1", "account": "1" } }),
        );
        let prod = Whereabouts::of_env(&json!({ "aliyun": { "region": "cn-hangzhou", "account": null, "endpoints": { "OSS": "http://x" } } }));
        for whereabouts in [lab, prod] {
            let mut placed = scope(json!({ "env": { "name": "e", "dns": { "server": "127.0.0.1:53" }, "aws": { "profile": "p" } }, "vars": {} }));
            placed.place(whereabouts.clone());
            assert_eq!(placed.whereabouts(), &whereabouts);
            assert_eq!(scope(json!(placed)), placed);
            assert_eq!(
                (&placed.seen()["env"]["name"], &placed.seen()["env"]["dns"]["server"]),
                (&json!("e"), &json!("127.0.0.1:53")),
                "the rest stays"
            );
        }
    }
}
