//! The tag calls of ECS, VPC and DTS: the same rules, three products' words.

use super::*;

const JOB: &str = "dtsorders-primary";

/// One product's calls over one of its things, and how it takes tags off.
struct Product {
    name: &'static str,
    kind: &'static str,
    untag: &'static str,
}

const ECS: Product = Product { name: "ecs", kind: "instance", untag: "UntagResources" };
const VPC_CALLS: Product = Product { name: "vpc", kind: "VSWITCH", untag: "UnTagResources" };
const DTS: Product = Product { name: "dts", kind: "ALIYUN::DTS::INSTANCE", untag: "UntagResources" };

/// What came of a call: DTS says failures inside of HTTP 200.
type Outcome = Result<Value, String>;

impl Product {
    fn call(&self, state: &mut State, action: &str, params: &[(String, String)]) -> Outcome {
        let mut all = vec![("ResourceType", self.kind)];
        all.retain(|(name, _)| !params.iter().any(|(param, _)| param == name));
        all.extend(params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let answer = call(state, &format!("{}:{action}", self.name), &all).map_err(|error| error.code)?;
        match answer.get("Success") {
            Some(Value::Bool(false)) => Err(answer["ErrCode"].as_str().unwrap().to_owned()),
            _ => Ok(answer),
        }
    }

    fn tag(&self, state: &mut State, ids: &[&str], tags: &[(&str, &str)]) -> Outcome {
        self.call(state, "TagResources", &[listed("ResourceId", ids), paired(tags)].concat())
    }

    fn untag(&self, state: &mut State, ids: &[&str], keys: &[&str]) -> Outcome {
        self.call(state, self.untag, &[listed("ResourceId", ids), listed("TagKey", keys)].concat())
    }

    /// Rows as `id key=value`, and the token of the next page.
    fn list(&self, state: &mut State, params: &[(String, String)]) -> Result<(Vec<String>, String), String> {
        let answer = self.call(state, "ListTagResources", params)?;
        let rows = answer["TagResources"]["TagResource"].as_array().unwrap().iter();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        let shown = rows.map(|row| format!("{} {}={}", text(row, "ResourceId"), text(row, "TagKey"), text(row, "TagValue"))).collect();
        Ok((shown, text(&answer, "NextToken")))
    }

    fn of(&self, state: &mut State, ids: &[&str]) -> Vec<String> {
        self.list(state, &listed("ResourceId", ids)).unwrap().0
    }

    /// A thing of this product that has no tags of ours.
    fn thing(&self, state: &State) -> String {
        match self.name {
            "ecs" => STORE[0].to_owned(),
            "vpc" => VSWITCH.to_owned(),
            _ => state.jobs[JOB].instance.clone(),
        }
    }
}

fn one(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

fn listed(name: &str, values: &[&str]) -> Vec<(String, String)> {
    values.iter().zip(1..).map(|(value, nth)| (format!("{name}.{nth}"), (*value).to_owned())).collect()
}

fn paired(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter()
        .zip(1..)
        .flat_map(|((key, value), nth)| [(format!("Tag.{nth}.Key"), (*key).to_owned()), (format!("Tag.{nth}.Value"), (*value).to_owned())])
        .collect()
}

#[test]
fn tags_are_put_read_replaced_and_taken_off_in_each_product() {
    for product in [ECS, VPC_CALLS, DTS] {
        let mut state = world();
        let id = product.thing(&state);
        let before = state.tags_of(&id);
        let (ids, state) = ([id.as_str()], &mut state);
        let ours = |state: &mut State| -> Vec<String> {
            product.of(state, &ids).into_iter().filter_map(|row| row.strip_prefix(&format!("{id} run")).map(str::to_owned)).collect()
        };

        product.tag(state, &ids, &[("run", "a"), ("run-until", "")]).unwrap();
        assert_eq!(ours(state), ["=a", "-until="], "{}: a value may be empty", product.name);
        product.tag(state, &ids, &[("run", "b")]).unwrap();
        assert_eq!(ours(state), ["=b", "-until="], "{}: the same key has one value", product.name);
        product.untag(state, &ids, &["run", "never-there"]).unwrap();
        assert_eq!(ours(state), ["-until="], "{}: what is not there need not be taken off", product.name);
        product.untag(state, &ids, &["run-until"]).unwrap();
        assert_eq!(state.tags_of(&id), before, "{}: nothing else was touched", product.name);
    }
}

#[test]
fn a_thing_shows_its_tags_in_its_own_describe_call() {
    let mut state = world();
    ECS.tag(&mut state, &[STORE[0]], &[("run", "a")]).unwrap();
    let found = ok(&mut state, "ecs:DescribeInstances", &[("Tag.1.Key", "run"), ("Tag.1.Value", "a")]);
    assert_eq!(found["Instances"]["Instance"][0]["InstanceId"], STORE[0]);
    assert_eq!(found["TotalCount"], 1);
    let tags = found["Instances"]["Instance"][0]["Tags"]["Tag"].as_array().unwrap();
    assert!(tags.contains(&json!({ "TagKey": "run", "TagValue": "a" })), "{tags:?}");

    let acl = ok(&mut state, "vpc:CreateNetworkAcl", &[("VpcId", VPC), ("Tag.1.Key", "run"), ("Tag.1.Value", "a")]);
    let acl = acl["NetworkAclId"].as_str().unwrap();
    let network_acls = Product { kind: "networkacl", ..VPC_CALLS };
    assert_eq!(network_acls.of(&mut state, &[acl]), [format!("{acl} run=a")], "the type in any case, the tag from the creation");
    network_acls.tag(&mut state, &[acl], &[("run", "b")]).unwrap();
    let shown = ok(&mut state, "vpc:DescribeNetworkAclAttributes", &[("NetworkAclId", acl)]);
    assert_eq!(shown["NetworkAclAttribute"]["Tags"]["Tag"], json!([{ "Key": "run", "Value": "b" }]));
}

#[test]
fn all_tags_go_only_when_no_key_is_named() {
    let mut state = world();
    let before = state.tags_of(STORE[0]).len();
    ECS.tag(&mut state, &[STORE[0]], &[("a", "1"), ("b", "2")]).unwrap();
    let all = one("All", "true");
    ECS.call(&mut state, "UntagResources", &[listed("ResourceId", &[STORE[0]]), listed("TagKey", &["a"]), all.clone()].concat()).unwrap();
    assert_eq!(state.tags_of(STORE[0]).len(), before + 1, "All says nothing beside keys");
    ECS.call(&mut state, "UntagResources", &listed("ResourceId", &[STORE[0]])).unwrap();
    assert_eq!(state.tags_of(STORE[0]).len(), before + 1, "neither keys nor All: nothing goes");
    ECS.call(&mut state, "UntagResources", &[listed("ResourceId", &[STORE[0]]), all].concat()).unwrap();
    assert!(state.tags_of(STORE[0]).is_empty());
    assert!(!state.tags_of(STORE[1]).is_empty(), "the other machine keeps its own");
}

/// The code, the things and the tags of a call that is refused.
type Refused<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);

#[test]
fn what_a_vendor_refuses_changes_nothing() {
    let (long, many) = ("k".repeat(129), (1..=21).map(|nth| format!("k{nth}")).collect::<Vec<_>>());
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
    for product in [ECS, VPC_CALLS, DTS] {
        let mut state = world();
        let id = product.thing(&state);
        let (ids, before) = ([id.as_str()], state.tags_of(&id));
        let too_many_ids = vec![id.as_str(); 51];
        let cases: [Refused<'_>; 15] = [
            ("MissingParameter", &[], &[("a", "b")]),
            ("MissingParameter", &ids, &[]),
            ("InvalidTagKey.Malformed", &ids, &[("good", "x"), ("", "b")]),
            ("InvalidTagKey.Malformed", &ids, &[("good", "x"), (&long, "b")]),
            ("InvalidTagKey.Malformed", &ids, &[("aliyun-mine", "b")]),
            ("InvalidTagKey.Malformed", &ids, &[("ACS:mine", "b")]),
            ("InvalidTagKey.Malformed", &ids, &[("see http://here", "b")]),
            ("InvalidTagValue.Malformed", &ids, &[("good", "x"), ("a", &long)]),
            ("InvalidTagValue.Malformed", &ids, &[("a", "https://here")]),
            ("InvalidTagValue.Malformed", &ids, &[("a", "acs:ecs")]),
            ("Duplicate.TagKey", &ids, &[("a", "1"), ("a", "2")]),
            ("InvalidParameter", &ids, &many),
            ("NumberExceed.ResourceIds", &too_many_ids, &[("a", "b")]),
            ("InvalidResourceId.NotFound", &[ids[0], "nobody"], &[("a", "b")]),
            ("InvalidResourceId.NotFound", &["subnet-0a11febe0a7500001"], &[("a", "b")]),
        ];
        for (code, ids, tags) in cases {
            assert_eq!(product.tag(&mut state, ids, tags).unwrap_err(), code, "{}: {ids:?} {tags:?}", product.name);
            assert_eq!(state.tags_of(&id), before, "{}: {code}", product.name);
        }
        let elsewhere = [listed("ResourceId", &ids), paired(&[("a", "b")]), one("ResourceType", "disk")].concat();
        assert_eq!(product.call(&mut state, "TagResources", &elsewhere).unwrap_err(), "InvalidResourceType.NotFound");
        assert_eq!(product.untag(&mut state, &[ids[0], "nobody"], &["role"]).unwrap_err(), "InvalidResourceId.NotFound");
        assert_eq!(product.list(&mut state, &[]).unwrap_err(), "MissingParameter", "{}", product.name);
        assert_eq!(state.tags_of(&id), before, "{}", product.name);
    }
}

#[test]
fn a_thing_has_twenty_tags_and_replacing_one_adds_none() {
    let mut state = world();
    let instance = state.jobs[JOB].instance.clone();
    let keys: Vec<String> = (1..=20).map(|nth| format!("k{nth}")).collect();
    let tags: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    // The longest key and value there can be, counted in characters.
    let wide = "键".repeat(128);
    DTS.tag(&mut state, &[&instance], &tags[..19]).unwrap();
    DTS.tag(&mut state, &[&instance], &[(&wide, &wide)]).unwrap();
    assert_eq!(DTS.tag(&mut state, &[&instance], &[("one-more", "v")]).unwrap_err(), "NumberExceed.Tags");
    assert_eq!(DTS.tag(&mut state, &[&instance], &[("k1", "w"), ("one-more", "v")]).unwrap_err(), "NumberExceed.Tags");
    assert_eq!(state.tags_of(&instance)["k1"], "v", "a refused call changes none of them");
    DTS.tag(&mut state, &[&instance], &[("k1", "w"), ("k2", "w")]).unwrap();
    assert_eq!((state.tags_of(&instance).len(), state.tags_of(&instance)["k1"].as_str()), (20, "w"));
}

#[test]
fn one_full_thing_among_several_refuses_all() {
    let mut state = world();
    let keys: Vec<String> = (1..=20).map(|nth| format!("k{nth}")).collect();
    let free = 20 - state.tags_of(STORE[0]).len();
    let tags: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).take(free).collect();
    ECS.tag(&mut state, &[STORE[0]], &tags).unwrap();
    let before = state.tags_of(STORE[1]);
    assert_eq!(ECS.tag(&mut state, &[STORE[1], STORE[0]], &[("run", "a")]).unwrap_err(), "NumberExceed.Tags");
    assert_eq!(state.tags_of(STORE[1]), before);
}

#[test]
fn rows_come_in_pages_and_are_narrowed_by_key_and_value() {
    let mut state = world();
    ECS.tag(&mut state, &STORE, &[("run", "a"), ("run-until", "9")]).unwrap();
    ECS.tag(&mut state, &[CHECK[0]], &[("run", "b")]).unwrap();
    let key = one("Tag.1.Key", "run");
    let row = |id: &str, rest: &str| format!("{id} {rest}");

    let mut rows = Vec::new();
    let mut token = String::new();
    for page in 1.. {
        let asked = [key.clone(), one("MaxResults", "1"), one("NextToken", &token)].concat();
        let (shown, next) = ECS.list(&mut state, &asked).unwrap();
        assert_eq!(shown.len(), 1, "page {page}");
        rows.extend(shown);
        token = next;
        if token.is_empty() {
            break;
        }
    }
    rows.sort();
    assert_eq!(rows, [row(CHECK[0], "run=b"), row(STORE[0], "run=a"), row(STORE[1], "run=a")], "each once, only the key that was asked for");

    let valued = [key.clone(), one("Tag.1.Value", "b")].concat();
    assert_eq!(ECS.list(&mut state, &valued).unwrap().0, [row(CHECK[0], "run=b")]);
    let both = [key.clone(), one("Tag.2.Key", "run-until"), listed("ResourceId", &[CHECK[0], STORE[0]])].concat();
    assert_eq!(ECS.list(&mut state, &both).unwrap().0, [row(STORE[0], "run=a"), row(STORE[0], "run-until=9")], "all the tags must be there");
    for (wrong, code) in [(one("MaxResults", "51"), "InvalidParameter"), (one("NextToken", "forged"), "InvalidParameter")] {
        assert_eq!(ECS.list(&mut state, &[key.clone(), wrong.clone()].concat()).unwrap_err(), code, "{wrong:?}");
    }
}

#[test]
fn a_failure_of_dts_comes_as_success() {
    let mut state = world();
    let answer = ok(&mut state, "dts:TagResources", &[("ResourceType", DTS.kind), ("ResourceId.1", "nobody"), ("Tag.1.Key", "a")]);
    assert_eq!((&answer["Success"], &answer["ErrCode"]), (&json!(false), &json!("InvalidResourceId.NotFound")));
    let wrong_case = call(&mut state, "vpc:UntagResources", &[]).unwrap_err();
    assert_eq!(wrong_case.code, "InvalidAction.NotFound", "VPC writes UnTagResources");
}
