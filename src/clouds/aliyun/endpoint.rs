//! Where a product is reached in a region: the host rules of the official SDKs, reduced to the products and public regions used here.

use std::collections::BTreeMap;

use url::Url;

use crate::model::host::{Owner, owner};

/// A product, as its hosts and error codes call it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Product {
    /// Also what call names begin with: `ecs:StartInstances`.
    pub(super) name: &'static str,
    /// The version of its API that is spoken.
    pub(super) version: &'static str,
    /// Whether it has no regions: it then survives any region's outage.
    pub(super) global: bool,
    /// The host of regions without a rule of their own.
    host: &'static str,
    /// Regions with another host.
    exceptions: &'static [(&'static str, &'static str)],
}

pub(super) const PRODUCTS: &[Product] = &[
    Product {
        name: "ecs",
        version: "2014-05-26",
        global: false,
        host: "ecs.{region}.aliyuncs.com",
        exceptions: &[
            ("cn-hangzhou", "ecs-cn-hangzhou.aliyuncs.com"),
            ("cn-shanghai-finance-1", "ecs-cn-hangzhou.aliyuncs.com"),
            ("cn-shenzhen-finance-1", "ecs-cn-hangzhou.aliyuncs.com"),
            ("cn-hangzhou-finance", "ecs.aliyuncs.com"),
            ("cn-north-2-gov-1", "ecs.aliyuncs.com"),
        ],
    },
    Product {
        name: "vpc",
        version: "2016-04-28",
        global: false,
        host: "vpc.{region}.aliyuncs.com",
        exceptions: &[
            ("cn-hangzhou", "vpc.aliyuncs.com"),
            ("cn-shanghai-finance-1", "vpc.aliyuncs.com"),
            ("cn-shenzhen-finance-1", "vpc.aliyuncs.com"),
            ("cn-hangzhou-finance", "vpc.aliyuncs.com"),
            ("cn-north-2-gov-1", "vpc.aliyuncs.com"),
        ],
    },
    // Its regional hosts answer alike; the central one needs no region to be alive.
    Product { name: "alidns", version: "2015-01-09", global: true, host: "alidns.aliyuncs.com", exceptions: &[] },
    Product { name: "cms", version: "2019-01-01", global: false, host: "metrics.{region}.aliyuncs.com", exceptions: &[] },
    Product {
        name: "dts",
        version: "2020-01-01",
        global: false,
        host: "dts.{region}.aliyuncs.com",
        exceptions: &[
            ("ap-south-1", "dts.aliyuncs.com"),
            ("ap-southeast-1", "dts.aliyuncs.com"),
            ("ap-southeast-2", "dts.aliyuncs.com"),
            ("ap-southeast-3", "dts.aliyuncs.com"),
            ("ap-southeast-5", "dts.aliyuncs.com"),
            ("cn-beijing", "dts.aliyuncs.com"),
            ("cn-beijing-finance-1", "dts.aliyuncs.com"),
            ("cn-chengdu", "dts.aliyuncs.com"),
            ("cn-hangzhou", "dts.aliyuncs.com"),
            ("cn-hangzhou-finance", "dts.aliyuncs.com"),
            ("cn-hongkong", "dts.aliyuncs.com"),
            ("cn-huhehaote", "dts.aliyuncs.com"),
            ("cn-north-2-gov-1", "dts.aliyuncs.com"),
            ("cn-qingdao", "dts.aliyuncs.com"),
            ("cn-shanghai", "dts.aliyuncs.com"),
            ("cn-shanghai-finance-1", "dts.aliyuncs.com"),
            ("cn-shenzhen", "dts.aliyuncs.com"),
            ("cn-shenzhen-finance-1", "dts.aliyuncs.com"),
            ("cn-wulanchabu", "dts.aliyuncs.com"),
            ("cn-zhangjiakou", "dts.aliyuncs.com"),
            ("eu-central-1", "dts.aliyuncs.com"),
            ("eu-west-1", "dts.aliyuncs.com"),
            ("me-east-1", "dts.aliyuncs.com"),
            ("us-east-1", "dts.aliyuncs.com"),
            ("us-west-1", "dts.aliyuncs.com"),
        ],
    },
    Product {
        name: "sts",
        version: "2015-04-01",
        global: false,
        host: "sts.{region}.aliyuncs.com",
        exceptions: &[("ap-south-1", "sts.aliyuncs.com"), ("ap-southeast-2", "sts.aliyuncs.com")],
    },
];

/// Addresses that replace the vendor's.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    pub(super) products: BTreeMap<String, String>,
    pub(super) all: Option<String>,
    pub(super) oss: Option<String>,
}

impl Endpoints {
    /// The address of a product's RPC endpoint, ending in `/`.
    pub(super) fn of(&self, product: &Product, region: &str) -> Result<Url, String> {
        match self.products.get(product.name).or(self.all.as_ref()) {
            Some(given) => address(given),
            None => {
                let exception = product.exceptions.iter().find(|(name, _)| *name == region);
                let host = exception.map_or_else(|| product.host.replace("{region}", region), |(_, host)| (*host).to_owned());
                address(&format!("https://{host}"))
            }
        }
    }

    /// The address of OSS, ending in `/`, and whether the bucket has to stand in the path: before the host, where alone OSS takes it, only the vendor's own
    /// names are sure to lead there, the internal ones too.
    pub(super) fn oss(&self, region: &str) -> Result<(Url, bool), String> {
        match &self.oss {
            Some(given) => Ok((address(given)?, owner(given) != Owner::Vendor)),
            None => Ok((address(&format!("https://oss-{region}.aliyuncs.com"))?, false)),
        }
    }
}

fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not an address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || url.query().is_some() || !matches!(url.path(), "" | "/") {
        return Err(format!("`{text}` is not an http or https address without path"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(product: &str, region: &str) -> String {
        let product = PRODUCTS.iter().find(|row| row.name == product).unwrap();
        Endpoints::default().of(product, region).unwrap().to_string()
    }

    #[test]
    fn hosts_follow_the_rules_of_the_official_sdks() {
        assert_eq!(host("ecs", "cn-hangzhou"), "https://ecs-cn-hangzhou.aliyuncs.com/");
        assert_eq!(host("ecs", "cn-beijing"), "https://ecs.cn-beijing.aliyuncs.com/");
        assert_eq!(host("vpc", "cn-hangzhou"), "https://vpc.aliyuncs.com/");
        assert_eq!(host("alidns", "eu-central-1"), "https://alidns.aliyuncs.com/");
        assert_eq!(host("dts", "cn-hangzhou"), "https://dts.aliyuncs.com/");
        assert_eq!(host("sts", "cn-hangzhou"), "https://sts.cn-hangzhou.aliyuncs.com/");
        assert_eq!(Endpoints::default().oss("cn-hangzhou").unwrap().0.as_str(), "https://oss-cn-hangzhou.aliyuncs.com/");
    }

    #[test]
    fn buckets_stand_in_the_path_of_hosts_that_are_not_the_vendors() {
        let in_path = |given: &str| Endpoints { oss: Some(given.to_owned()), ..Endpoints::default() }.oss("cn-hangzhou").unwrap().1;
        assert!(!in_path("https://oss-cn-hangzhou-internal.aliyuncs.com") && !in_path("https://oss-accelerate.aliyuncs.com"));
        assert!(in_path("http://127.0.0.1:9000") && in_path("https://oss.shop.example.com"));
    }

    #[test]
    fn given_addresses_win_and_wrong_ones_are_said_to_be() {
        let products = BTreeMap::from([("ecs".to_owned(), "http://127.0.0.1:1".to_owned())]);
        let endpoints = Endpoints { products, all: Some("http://127.0.0.1:2".to_owned()), oss: None };
        assert_eq!(endpoints.of(&PRODUCTS[0], "x").unwrap().as_str(), "http://127.0.0.1:1/");
        assert_eq!(endpoints.of(&PRODUCTS[1], "x").unwrap().as_str(), "http://127.0.0.1:2/");
        for wrong in ["127.0.0.1:80", "ftp://a", "http://a/b", "http://a/?b", ""] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
