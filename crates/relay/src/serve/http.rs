//! HTTP calls become events; answers become responses (`spec/pairing.md` §2).

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::body::{Body, plain};
use super::shared::Shared;
use super::websocket;
use super::{Admitted, Life, Waits};
use crate::machine::{
    Answer, ITEM_BYTES_MAX, MailboxId, Pause, ReadToken, Refusal, Request as Asked, Source,
    WAIT_S_MAX, WriteToken,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};

/// Who calls over one connection.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Source,
    pub(super) behind_proxy: bool,
    pub(super) waits: Waits,
    pub(super) life: Life,
    /// The connection that carries the call.
    pub(super) admitted: Arc<Admitted>,
}

impl Caller {
    /// Answers one request.
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let method = request.method().clone();
        let response = self.route(request).await;
        let mut response = response.unwrap_or_else(refused);
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        let status = response.status().as_u16();
        // Neither path nor headers: they name the mailbox and open it.
        tracing::debug!(%method, status, "answered");
        Ok(response)
    }

    async fn route(self, mut request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let path = request.uri().path();
        if let Some(id) = path.strip_prefix("/v1/m/") {
            let mailbox = MailboxId::from_hex(id).ok_or(Refusal::Malformed)?;
            return self.mailbox(mailbox, request).await;
        }
        let allowed = match path {
            "/v1/ws" | "/health" => Method::GET,
            _ => return Ok(plain(StatusCode::NOT_FOUND, "nothing is here\n")),
        };
        if request.method() == Method::OPTIONS {
            return Ok(preflight());
        }
        if request.method() != allowed {
            return Ok(not_allowed("GET, OPTIONS"));
        }
        if path == "/health" {
            return Ok(plain(StatusCode::OK, "ok\n"));
        }
        let source = self.source(request.headers());
        let counted = self.count(source)?;
        let carrier = websocket::Carrier {
            shared: self.shared,
            source,
            waits: self.waits,
            life: self.life,
            counted: [Some(self.admitted), counted],
        };
        websocket::upgrade(carrier, &mut request)
    }

    async fn mailbox(
        self,
        mailbox: MailboxId,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Refusal> {
        let method = request.method().clone();
        let token = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(bearer);
        let asked = match method {
            Method::OPTIONS => return Ok(preflight()),
            Method::GET => {
                let (after, wait_s) = query(request.uri().query())?;
                let token = token.ok_or(Refusal::WrongToken)?;
                Asked::Read {
                    token: ReadToken::new(token),
                    after,
                    wait_s,
                }
            }
            Method::DELETE => Asked::Delete {
                token: ReadToken::new(token.ok_or(Refusal::WrongToken)?),
            },
            Method::POST => {
                let token = WriteToken::new(token.ok_or(Refusal::WrongToken)?);
                if !token.fits(&mailbox) {
                    // The relay would say so too, after the body was read.
                    return Err(Refusal::WrongToken);
                }
                let source = self.source(request.headers());
                let _counted = self.count(source)?;
                let item = item(request.into_body(), self.waits.body).await?;
                let answer = self
                    .shared
                    .call(source, mailbox, Asked::Post { token, item });
                return Ok(self.response(answer.await));
            }
            _ => return Ok(not_allowed("GET, POST, DELETE, OPTIONS")),
        };
        let source = self.source(request.headers());
        let _counted = self.count(source)?;
        let answer = self.shared.call(source, mailbox, asked).await;
        Ok(self.response(answer))
    }

    fn response(&self, answer: Answer) -> Response<Body> {
        match answer {
            Answer::Done => done(),
            Answer::Refuse(refusal) => refused(refusal),
            Answer::Items(records) => match Body::items(self.shared.clone(), records) {
                None => done(),
                Some(body) => {
                    let mut response = Response::new(body);
                    let headers = response.headers_mut();
                    headers.insert(header::CONTENT_TYPE, BYTES);
                    response
                }
            },
        }
    }

    /// Who is counted: the peer, or whom the proxy names last.
    fn source(&self, headers: &HeaderMap) -> Source {
        if !self.behind_proxy {
            return self.peer;
        }
        forwarded_for(headers).map_or(self.peer, Source::of)
    }

    /// Behind a proxy, counts a call as a connection of its source.
    fn count(&self, source: Source) -> Result<Option<Arc<Admitted>>, Refusal> {
        if !self.behind_proxy || source == Source::Local {
            return Ok(None);
        }
        Ok(Some(Arc::new(self.shared.connect(source)?)))
    }
}

/// The response to a connection above the limits, before any request.
pub(super) fn turned_away(pause: Pause) -> Vec<u8> {
    let retry_after_s = pause.retry_after_s;
    format!(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: {retry_after_s}\r\n\
         Access-Control-Allow-Origin: *\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

fn refused(refusal: Refusal) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.status());
    let text = match refusal {
        Refusal::Malformed => "this is not a call of the mailbox protocol\n",
        Refusal::WrongToken => "the token does not fit the mailbox\n",
        Refusal::Deleted => "the mailbox was deleted\n",
        Refusal::TooLarge => "an item has at most 65600 bytes\n",
        Refusal::TooMuch(_) => "a limit is reached, try again later\n",
        Refusal::Unavailable => "the relay cannot write to its disk\n",
    };
    let mut response = plain(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), text);
    if let Some(retry_after_s) = refusal.retry_after_s() {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
    }
    response
}

fn done() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A browser asks before it sends `Authorization` to another origin (the Fetch
/// standard, CORS-preflight).
fn preflight() -> Response<Body> {
    let mut response = done();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, DAY);
    response
}

fn not_allowed(methods: &'static str) -> Response<Body> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "no such method here\n");
    let allowed = HeaderValue::from_static(methods);
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

/// Reads an item, refusing by its announced length where there is one.
async fn item(body: Incoming, wait: Duration) -> Result<Vec<u8>, Refusal> {
    let limit = u64::try_from(ITEM_BYTES_MAX).unwrap_or(u64::MAX);
    if body.size_hint().lower() > limit {
        return Err(Refusal::TooLarge);
    }
    let reading = Limited::new(body, ITEM_BYTES_MAX).collect();
    let read = tokio::time::timeout(wait, reading).await;
    match read.map_err(|_| Refusal::Malformed)? {
        Ok(item) => Ok(item.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Malformed),
    }
}

/// `Authorization: Bearer` and 43 characters of base64url (RFC 6750 §2.1).
fn bearer(value: &HeaderValue) -> Option<[u8; 32]> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()
}

/// `after=CURSOR&wait_s=0…25`: each at most once, 0 when left out.
fn query(query: Option<&str>) -> Result<(u64, u32), Refusal> {
    let (mut after, mut wait_s) = (None, None);
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        match pair.split_once('=') {
            Some(("after", value)) if after.is_none() => after = Some(number(value)?),
            Some(("wait_s", value)) if wait_s.is_none() => wait_s = Some(number(value)?),
            _ => return Err(Refusal::Malformed),
        }
    }
    let wait_s = u32::try_from(wait_s.unwrap_or(0)).map_err(|_| Refusal::Malformed)?;
    if wait_s > WAIT_S_MAX {
        return Err(Refusal::Malformed);
    }
    Ok((after.unwrap_or(0), wait_s))
}

/// Digits alone: `parse` would take a sign.
fn number(text: &str) -> Result<u64, Refusal> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = digits.then(|| text.parse().ok()).flatten();
    parsed.ok_or(Refusal::Malformed)
}

/// The last address of the last `X-Forwarded-For`: our own proxy wrote that one;
/// those before it are what the client says.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(X_FORWARDED_FOR).iter().next_back()?;
    let address = last.to_str().ok()?.rsplit(',').next()?.trim();
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok()
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const ANY: HeaderValue = HeaderValue::from_static("*");
const EXPOSED: HeaderValue = HeaderValue::from_static("Retry-After");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type");
const DAY: HeaderValue = HeaderValue::from_static("86400");

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(u64, u32)>) {
        assert_eq!(query(Some(text)).ok(), expected, "{text:?}");
    }

    #[test]
    fn queries_are_understood_whole_or_not_at_all() {
        assert_eq!(query(None), Ok((0, 0)));
        check("", Some((0, 0)));
        check("after=7", Some((7, 0)));
        check("wait_s=25&after=18446744073709551615", Some((u64::MAX, 25)));
        check("after=0&wait_s=0", Some((0, 0)));
        let bad = [
            "after",
            "after=",
            "after=-1",
            "after=+1",
            "after=1.5",
            "after=18446744073709551616",
            "wait_s=26",
            "wait_s=4294967296",
            "after=1&after=1",
            "cursor=1",
            "after=1&x=2",
            "after=%31",
        ];
        for text in bad {
            check(text, None);
        }
    }

    #[test]
    fn only_a_bearer_token_of_32_bytes_is_one() {
        let token = URL_SAFE_NO_PAD.encode([0xff; 32]);
        let check = |text: String, expected: bool| {
            let value = HeaderValue::from_str(&text).unwrap();
            assert_eq!(bearer(&value).is_some(), expected, "{text}");
        };
        check(format!("Bearer {token}"), true);
        check(format!("bearer {token}"), true);
        check(token.clone(), false);
        check(format!("Basic {token}"), false);
        check(format!("Bearer {token}="), false);
        check(format!("Bearer {}", &token[1..]), false);
        check(format!("Bearer {}", token.replace('_', "/")), false);
        check(format!("Bearer  {token}"), false);
    }

    #[test]
    fn the_proxys_own_word_counts() {
        let check = |values: &[&str], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(X_FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
            }
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(forwarded_for(&headers), expected, "{values:?}");
        };
        check(&[], None);
        check(&["192.0.2.1"], Some("192.0.2.1"));
        check(&["10.0.0.1, 192.0.2.1"], Some("192.0.2.1"));
        check(&["10.0.0.1", "192.0.2.1"], Some("192.0.2.1"));
        check(&["[2001:db8::1]"], Some("2001:db8::1"));
        check(&["192.0.2.1, unknown"], None);
    }
}
