//! The page of ours that a request was sent from, as far as the browser tells.

use axum::http::{HeaderMap, header};
use url::Url;

use super::frame::{address, is_ours, without};

/// Path and query of the page before, if it is one of ours.
pub(super) fn page_before(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let before = Url::parse(text(header::REFERER)?).ok()?;
    let asked = Url::parse(&format!("{}://{}", before.scheme(), text(header::HOST)?)).ok()?;
    let place = |url: &Url| {
        (
            url.host_str().map(str::to_owned),
            url.port_or_known_default(),
        )
    };
    if place(&before) != place(&asked) || !is_ours(before.path()) {
        return None;
    }
    let query = without(before.query().unwrap_or_default(), &["said"]);
    Some(address(before.path(), &query))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_our_own_pages_are_gone_back_to() {
        let from = |referer: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("lead.example:8080"));
            headers.insert(header::REFERER, HeaderValue::from_static(referer));
            page_before(&headers)
        };
        let wanted = "/dashboard/crm/leads?band=hot";
        assert_eq!(
            from("http://lead.example:8080/dashboard/crm/leads?band=hot&said=status").as_deref(),
            Some(wanted)
        );
        for foreign in [
            "http://lead.example/ops",
            "http://evil.example:8080/ops",
            "http://lead.example:8080/sign-in",
            "nonsense",
        ] {
            assert_eq!(from(foreign), None, "{foreign}");
        }
        assert_eq!(page_before(&HeaderMap::new()), None);
    }
}
