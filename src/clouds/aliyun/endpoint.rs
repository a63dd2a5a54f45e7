//! Where a product is reached in a region: the host rules of the official SDKs, reduced to the products and public regions used here.

use std::collections::BTreeMap;

use url::{Host, Url};

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

    /// The address of OSS, ending in `/`, and where the name of `bucket` stands in a request.
    pub(super) fn oss(&self, region: &str, bucket: &str) -> Result<(Url, BucketIn), String> {
        let url = match &self.oss {
            Some(given) => address(given)?,
            None => address(&format!("https://oss-{region}.aliyuncs.com"))?,
        };
        let place = bucket_in(&url, bucket);
        Ok((url, place))
    }

    /// Whether the product is asked at a loopback address.
    pub(super) fn is_on_this_machine(&self, product: &str) -> bool {
        self.products.get(product).or(self.all.as_ref()).and_then(|given| address(given).ok()).is_some_and(|url| is_loopback(&url))
    }

    /// Whether any address is one of this machine's, which no proxy can reach.
    pub(super) fn has_any_on_this_machine(&self) -> bool {
        let mut given = self.products.values().chain(&self.all).chain(&self.oss);
        given.any(|given| address(given).is_ok_and(|url| is_loopback(&url)))
    }
}

/// Where the name of a bucket stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BucketIn {
    /// Before the host, which is the only way that the vendor's own hosts take, internal ones too (else `SecondLevelDomainForbidden`).
    Host,
    /// In the path: an address has no names below it.
    Path,
    /// Nowhere: the host is a domain that is bound to the bucket.
    Neither,
}

fn bucket_in(url: &Url, bucket: &str) -> BucketIn {
    let host = match url.host() {
        Some(Host::Domain(host)) => host,
        _ => return BucketIn::Path,
    };
    if host == "localhost" || host.ends_with(".localhost") {
        return BucketIn::Path;
    }
    let is_vendors = host.strip_suffix(".aliyuncs.com").or(host.strip_suffix(".aliyuncs.com.cn")).is_some_and(|name| {
        // `oss-cn-hangzhou-internal`, `oss-accelerate`, `s3.oss-cn-hangzhou`, `cn-hangzhou.oss`
        !host.starts_with(&format!("{bucket}.")) && name.split('.').any(|label| label == "oss" || label.starts_with("oss-"))
    });
    if is_vendors { BucketIn::Host } else { BucketIn::Neither }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => host == "localhost" || host.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
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
        let (url, place) = Endpoints::default().oss("cn-hangzhou", "shop").unwrap();
        assert_eq!((url.as_str(), place), ("https://oss-cn-hangzhou.aliyuncs.com/", BucketIn::Host));
    }

    #[test]
    fn a_bucket_stands_where_the_host_takes_it() {
        for (host, expected) in [
            ("https://oss-cn-hangzhou-internal.aliyuncs.com", BucketIn::Host),
            ("https://oss-accelerate.aliyuncs.com", BucketIn::Host),
            ("https://cn-hangzhou.oss.aliyuncs.com", BucketIn::Host),
            ("https://shop.oss-cn-hangzhou-internal.aliyuncs.com", BucketIn::Neither),
            ("https://files.example.com", BucketIn::Neither),
            ("http://127.0.0.1:9000", BucketIn::Path),
            ("http://[::1]:9000", BucketIn::Path),
            ("http://localhost:9000", BucketIn::Path),
        ] {
            let endpoints = Endpoints { oss: Some(host.to_owned()), ..Endpoints::default() };
            assert_eq!(endpoints.oss("cn-hangzhou", "shop").unwrap().1, expected, "{host}");
        }
    }

    #[test]
    fn what_is_on_this_machine_is_told_by_addresses_not_by_their_being_given() {
        for (given, expected) in
            [("http://127.0.0.1:1", true), ("http://localhost:1", true), ("https://vpc.aliyuncs.com", false), ("http://10.0.0.1", false)]
        {
            let endpoints = Endpoints { all: Some(given.to_owned()), ..Endpoints::default() };
            assert_eq!(endpoints.is_on_this_machine("vpc"), expected, "{given}");
        }
        assert!(!Endpoints::default().is_on_this_machine("vpc"));
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
