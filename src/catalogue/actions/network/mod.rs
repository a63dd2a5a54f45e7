//! Networks of Alibaba Cloud: cutting off a whole region.

mod outage;

actions! {
    region_outage::RegionOutage,
}
