//! What the Alibaba client makes of answers: every call, any status, any body.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use lifeboat::clouds::aliyun::{AclEntry, Aliyun, Policy, Settings, StaticKeys};
use lifeboat::ports::CloudError;
use lifeboat::ports::compute::{Compute, Refused, Rest, Selector};
use lifeboat::ports::dns::{Dns as _, NameRecords, Names, WeightedRecord, Zone};
use lifeboat::ports::gate::Gate;
use lifeboat::ports::objects::ObjectStore as _;
use lifeboat::ports::sync::Sync;

use super::http_text::{messages, response};

/// How often the last answer comes again: no list may go on for as long as somebody answers.
const AGAIN: usize = 64;

const SECRET: &str = "s3cr3t-that-is-never-told";

/// The first byte names the call; what follows is what the service answers, one answer after the other.
pub fn aliyun(data: &[u8]) {
    let Some((call, rest)) = data.split_first() else { return };
    let script: VecDeque<_> = messages(rest.strip_prefix(b"\n").unwrap_or(rest)).into_iter().map(response).collect();
    let script = Mutex::new((script, 0));
    let mut settings = Settings::new("cn-hangzhou", Gate::default());
    settings.account = Some("1234567890123456".to_owned());
    settings.credentials = Some(StaticKeys { access_key_id: "LTAI".into(), secret_access_key: SECRET.into(), session_token: None });
    // Shorter than any pause between two attempts: nothing is sent twice.
    settings.timeout = Duration::from_millis(1);
    let client = Aliyun::answered(settings, move || {
        let mut script = script.lock().expect("nobody panics while holding it");
        if script.0.len() > 1 {
            return script.0.pop_front();
        }
        script.1 += 1;
        assert!(script.1 < AGAIN, "asks for ever");
        script.0.front().cloned()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime without sockets");
    if let Some(Err(error)) = runtime.block_on(made(*call, &client)) {
        let told = format!("{error} {error:?}");
        assert!(!told.contains(SECRET) && told.len() < 20_000, "{told}");
        assert!(!(error.ambiguous && READING.contains(call)), "reading is never ambiguous: {error}");
    }
}

/// The calls that change nothing.
const READING: &[u8] = b"abefgijklrtwxyz2";

/// Makes the call that a byte stands for.
async fn made(call: u8, client: &Aliyun) -> Option<Result<(), CloudError>> {
    let ids = || vec!["i-1".to_owned(), "i-2".to_owned()];
    let tags = || BTreeMap::from([("role".to_owned(), "storefront".to_owned())]);
    let accounts = || BTreeSet::from(["1234567890123456".to_owned()]);
    let records = || {
        let record = |id: &str, weight, enabled| WeightedRecord {
            kind: "A".into(),
            line: "default".into(),
            label: "side".into(),
            id: id.into(),
            weight,
            enabled,
            weighted: true,
            values: Vec::new(),
            alias: None,
            ttl: 5,
            health_check: None,
            locked: false,
        };
        let records = vec![record("1", 100, true), record("2", 1, false)];
        vec![NameRecords { name: "shop.shop.example.cn".into(), records, ..NameRecords::default() }]
    };
    let zone = Zone { id: "shop.example.cn".into(), name: "shop.example.cn".into(), private: false };
    let entry = AclEntry::everything(Policy::Drop, "lifeboat");
    Some(match call {
        b'a' => client.find(&Selector { ids: ids(), ..Selector::default() }).await.map(drop),
        b'b' => client.find(&Selector { tags: tags(), ..Selector::default() }).await.map(drop),
        b'c' => Compute::start(client, &ids()).await.and_then(first),
        b'd' => Compute::stop(client, &ids(), Rest::Kept).await.and_then(first),
        b'e' => client.instance_statuses(&ids()).await.map(drop),
        b'f' => client.dry_run_start(&ids()).await,
        b'g' => client.launch_permissions("m-1").await.map(drop),
        b'h' => client.modify_launch_permissions("m-1", &accounts(), &BTreeSet::new()).await,
        b'i' => client.vswitches("vpc-1").await.map(drop),
        b'j' => client.vswitch("vsw-1").await.map(drop),
        b'k' => client.network_acls("vpc-1").await.map(drop),
        b'l' => client.network_acl("nacl-1").await.map(drop),
        b'm' => client.create_network_acl("vpc-1", "lifeboat", "token").await.map(drop),
        b'n' => client.set_network_acl_entries("nacl-1", std::slice::from_ref(&entry), std::slice::from_ref(&entry), "token").await,
        b'o' => client.associate_network_acl("nacl-1", &ids(), "token").await,
        b'p' => client.unassociate_network_acl("nacl-1", &ids(), "token").await,
        b'q' => client.delete_network_acl("nacl-1").await,
        b'r' => client.names(&zone, Names::These(&["shop.shop.example.cn".to_owned()])).await.map(drop),
        b's' => client.change(&zone, &records()).await.map(drop),
        b't' => client.job("dtsjob1").await.map(drop),
        b'u' => client.suspend("dtsjob1").await,
        b'v' => Sync::start(client, "dtsjob1").await,
        b'w' => client.account().await.map(drop),
        b'x' => client.check_account().await.map(drop),
        b'y' => client.list("shop-orders", "orders/", "orders/1").await.map(drop),
        b'z' => client.get("shop-orders", "orders/1").await.map(drop),
        b'0' => client.put("shop-orders", "orders/1", Bytes::from_static(b"{}")).await,
        b'1' => client.delete("shop-orders", "orders/1").await,
        b'2' => client.head("shop-orders", "orders/1").await.map(drop),
        _ => return None,
    })
}

/// The first machine's refusal is the failure.
fn first(refused: Refused) -> Result<(), CloudError> {
    refused.into_values().next().map_or(Ok(()), Err)
}
