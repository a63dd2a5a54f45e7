//! What the journal knows of a DNS change, as facts for measures: how long resolvers may keep what was answered before it.

use std::collections::BTreeMap;

use serde_json::Value;

/// The action that shifts names.
pub const SHIFT: &str = "dns.shift-weight";

/// The longest TTL, in seconds, of each name that a step shifts, before it changed anything: whoever asked just before the change may keep the old
/// answer so long. `before` is the intent's. Only records that were answered then count, of every type that moves; empty for anything but
/// [`SHIFT`]'s state.
#[must_use]
pub fn ttls_before(before: &Value) -> BTreeMap<String, u32> {
    let names = before["names"].as_array().into_iter().flatten();
    let of = |name: &Value| {
        let served = name["records"].as_array()?.iter().filter(|record| record["enabled"] != Value::Bool(false));
        // A record of weight 0 is answered by Route 53 where no other has a weight.
        let ttl = served.filter_map(|record| u32::try_from(record["ttl"].as_u64()?).ok()).max()?;
        Some((name["name"].as_str()?.to_owned(), ttl))
    };
    names.filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_ttl_of_every_name_is_known_before_it_moves() {
        let record = |ttl: u32, enabled: bool| json!({ "kind": "A", "ttl": ttl, "enabled": enabled });
        let before = json!({ "zone": {}, "names": [
            { "name": "shop.example.com", "records": [record(5, true), record(60, true), record(600, false)] },
            { "name": "pay.example.com", "records": [record(30, true)] },
        ] });
        assert_eq!(ttls_before(&before), BTreeMap::from([("pay.example.com".to_owned(), 30), ("shop.example.com".to_owned(), 60)]));
        assert_eq!(ttls_before(&json!({ "instances": [] })), BTreeMap::new());
    }
}
