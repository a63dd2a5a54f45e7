//! Hosted zones: the lists, one zone, and how many there are.

use super::{Call, canonical_name, max_items, sort_key, zone_index};
use crate::wire::aws_answer::ApiError;
use crate::wire::xml::Answer;
use crate::world::state::{Cloud, State, Zone};

/// The most zones of one page.
const PAGE: usize = 100;

fn write(answer: &mut Answer, zone: &Zone) {
    answer.element("HostedZone", |answer| {
        answer.text("Id", format_args!("/hostedzone/{}", zone.id));
        answer.text("Name", &zone.name);
        answer.text("CallerReference", format_args!("lifeboat-lab-{}", zone.id));
        answer.element("Config", |answer| answer.text("PrivateZone", false));
        answer.text("ResourceRecordSetCount", zone.records.len());
    });
}

fn hosted(state: &State) -> Vec<&Zone> {
    state.zones.iter().filter(|zone| zone.cloud == Cloud::Aws).collect()
}

/// `ListHostedZones`, in the order of the world file.
pub(super) fn list(state: &mut State, call: &Call<'_>, answer: &mut Answer) -> Result<(), ApiError> {
    let items = max_items(call, PAGE)?;
    let zones = hosted(state);
    let marker = call.query.get("marker");
    let start = match marker {
        None => 0,
        Some(marker) => zones
            .iter()
            .position(|zone| zone.id == *marker)
            .ok_or_else(|| ApiError::new("InvalidInput", format!("The specified marker is not valid: {marker}")))?,
    };
    let rest = &zones[start..];
    let (page, after) = rest.split_at(items.min(rest.len()));
    answer.element("HostedZones", |answer| page.iter().for_each(|zone| write(answer, zone)));
    if let Some(marker) = marker {
        answer.text("Marker", marker);
    }
    answer.text("IsTruncated", !after.is_empty());
    if let Some(next) = after.first() {
        answer.text("NextMarker", &next.id);
    }
    answer.text("MaxItems", items);
    Ok(())
}

/// `ListHostedZonesByName`, by name with its labels reversed.
pub(super) fn list_by_name(state: &mut State, call: &Call<'_>, answer: &mut Answer) -> Result<(), ApiError> {
    let items = max_items(call, PAGE)?;
    let mut zones = hosted(state);
    zones.sort_by_key(|zone| (sort_key(&zone.name), zone.id.clone()));
    let name = call.query.get("dnsname");
    let id = call.query.get("hostedzoneid");
    if let Some(name) = name {
        let from = (sort_key(&canonical_name(name)), id.map(|id| id.trim_start_matches("/hostedzone/").to_owned()).unwrap_or_default());
        zones.retain(|zone| (sort_key(&zone.name), zone.id.clone()) >= from);
    } else if id.is_some() {
        return Err(ApiError::new("InvalidInput", "A hostedzoneid can be given only together with a dnsname."));
    }
    let (page, after) = zones.split_at(items.min(zones.len()));
    answer.element("HostedZones", |answer| page.iter().for_each(|zone| write(answer, zone)));
    if let Some(name) = name {
        answer.text("DNSName", name);
    }
    if let Some(id) = id {
        answer.text("HostedZoneId", id);
    }
    answer.text("IsTruncated", !after.is_empty());
    if let Some(next) = after.first() {
        answer.text("NextDNSName", &next.name);
        answer.text("NextHostedZoneId", &next.id);
    }
    answer.text("MaxItems", items);
    Ok(())
}

/// `GetHostedZoneCount`.
pub(super) fn count(state: &mut State, _call: &Call<'_>, answer: &mut Answer) -> Result<(), ApiError> {
    answer.text("HostedZoneCount", hosted(state).len());
    Ok(())
}

/// `GetHostedZone`, with the name servers that the zone's own NS record names.
pub(super) fn get(state: &mut State, call: &Call<'_>, answer: &mut Answer) -> Result<(), ApiError> {
    let zone = &state.zones[zone_index(state, &call.id)?];
    write(answer, zone);
    let servers = zone.records.iter().find(|record| record.kind == "NS" && record.name == zone.name);
    answer.element("DelegationSet", |answer| {
        answer.element("NameServers", |answer| {
            for server in servers.map(|record| record.values.as_slice()).unwrap_or_default() {
                answer.text("NameServer", server.trim_end_matches('.'));
            }
        });
    });
    Ok(())
}
