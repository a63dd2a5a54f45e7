//! What the AWS client, with the real SDK in it, makes of answers: Route 53 above all, and the other services, any status, any body.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use lifeboat::clouds::aws::{Aws, Settings, StaticKeys};
use lifeboat::ports::CloudError;
use lifeboat::ports::compute::{Compute as _, Refused, Rest, Selector};
use lifeboat::ports::dns::{ChangeId, Dns as _, NameRecords, Names, WeightedRecord, Zone};
use lifeboat::ports::gate::Gate;
use lifeboat::ports::objects::ObjectStore as _;

use super::http_text::{messages, response};

/// How often the last answer comes again: no list may go on for as long as somebody answers.
const AGAIN: usize = 64;

const SECRET: &str = "s3cr3t-that-is-never-told";

/// The first byte names the call; what follows is what the service answers, one answer after the other.
pub fn aws(data: &[u8]) {
    let Some((call, rest)) = data.split_first() else { return };
    let script: VecDeque<_> = messages(rest.strip_prefix(b"\n").unwrap_or(rest)).into_iter().map(response).collect();
    let script = Mutex::new((script, 0));
    let answers = move || {
        let mut script = script.lock().expect("nobody panics while holding it");
        if script.0.len() > 1 {
            return script.0.pop_front();
        }
        script.1 += 1;
        assert!(script.1 < AGAIN, "asks for ever");
        script.0.front().cloned()
    };
    let mut settings = Settings::new("us-east-1", Gate::default());
    settings.account = Some("111122223333".to_owned());
    settings.endpoint = Some("http://127.0.0.1:9".to_owned());
    settings.credentials = Some(StaticKeys { access_key_id: "AKID".into(), secret_access_key: SECRET.into(), session_token: None });
    settings.timeout = Duration::from_secs(5);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime without sockets");
    let made = runtime.block_on(async { made(*call, &Aws::answered(settings, answers).await).await });
    if let Some(Err(error)) = made {
        let told = format!("{error} {error:?}");
        assert!(!told.contains(SECRET) && told.len() < 20_000, "{told}");
        assert!(!(error.ambiguous && READING.contains(call)), "reading is never ambiguous: {error}");
    }
}

/// The calls that change nothing.
const READING: &[u8] = b"rnabfgwxyzij";

/// Makes the call that a byte stands for.
async fn made(call: u8, client: &Aws) -> Option<Result<(), CloudError>> {
    let ids = || vec!["i-1".to_owned(), "i-2".to_owned()];
    let tags = || BTreeMap::from([("role".to_owned(), "storefront".to_owned())]);
    let records = || {
        let record = |label: &str, weight| WeightedRecord {
            kind: "A".into(),
            line: String::new(),
            label: label.into(),
            id: String::new(),
            weight,
            enabled: true,
            weighted: true,
            values: Vec::new(),
            alias: None,
            ttl: 5,
            health_check: None,
            locked: false,
        };
        let records = vec![record("aws", 100), record("aliyun", 0)];
        vec![NameRecords { name: "shop.example.com".into(), records, ..NameRecords::default() }]
    };
    let zone = Zone { id: "Z1".into(), name: "example.com".into(), private: false };
    Some(match call {
        b'r' => {
            async {
                let zone = client.zone("example.com.").await?;
                client.names(&zone, Names::These(&["shop.example.com".to_owned()])).await.map(drop)
            }
            .await
        }
        b's' => client.change(&zone, &records()).await.map(drop),
        b'n' => client.in_sync(&ChangeId("C1".to_owned())).await.map(drop),
        b'a' => client.find(&Selector { ids: ids(), ..Selector::default() }).await.map(drop),
        b'b' => client.find(&Selector { tags: tags(), ..Selector::default() }).await.map(drop),
        b'c' => client.start(&ids()).await.and_then(first),
        b'd' => client.stop(&ids(), Rest::Kept).await.and_then(first),
        b'f' => client.dry_run_start(&ids()).await,
        b'g' => client.launch_permissions("ami-1").await.map(drop),
        b'h' => client.modify_launch_permissions("ami-1", &BTreeSet::from(["444455556666".to_owned()]), &BTreeSet::new()).await,
        b'i' => client.route("rtb-1", &"10.20.0.0/16".parse().expect("a block")).await.map(drop),
        b'j' => client.interface("eni-1").await.map(drop),
        b'q' => client.delete_route("rtb-1", &"10.20.0.0/16".parse().expect("a block")).await,
        b'w' => client.account().await.map(drop),
        b'x' => client.check_account().await.map(drop),
        b'y' => client.list("shop-orders", "orders/", "orders/1").await.map(drop),
        b'z' => client.get("shop-orders", "orders/1").await.map(drop),
        b'0' => client.put("shop-orders", "orders/1", Bytes::from_static(b"{}")).await,
        b'1' => client.delete("shop-orders", "orders/1").await,
        _ => return None,
    })
}

/// The first machine's refusal is the failure.
fn first(refused: Refused) -> Result<(), CloudError> {
    refused.into_values().next().map_or(Ok(()), Err)
}
