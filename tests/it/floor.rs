//! A whole session with its page at an exchange that fails on demand.

use crate::exchange_sim::Http;
use crate::pipeline_support::EAGER;
use crate::process::{free_address, look};
use crate::session_support::{Session, with_faults};
use peregrine::exchange::ExchangeServer;
use serde_json::Value;

/// See the head of this file.
pub struct Floor {
    pub exchange: ExchangeServer,
    pub session: Session,
    /// Address of the page.
    pub page: String,
}

/// A request to an exchange's admin endpoints.
pub fn sim(exchange: &ExchangeServer, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut http = Http::connect(&exchange.rest_url());
    let answer = http.request(method, path, &[], &body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

impl Floor {
    /// With these faults from the beginning, and these changes to the configuration.
    pub fn start(faults: &str, more: &[(&str, &str, &str)]) -> Self {
        let page = free_address().to_string();
        let bind = format!("\"{page}\"");
        let more = [&EAGER[..], &[("http", "bind", bind.as_str())], more].concat();
        let (exchange, session) = Session::at_exchange(with_faults(faults), &more);
        Self { exchange, session, page }
    }

    /// A request to the exchange's admin endpoints.
    pub fn sim(&self, method: &str, path: &str, body: &Value) -> Value {
        sim(&self.exchange, method, path, body)
    }

    /// Status and body of a page; what went wrong where there is none.
    pub fn get(&self, path: &str) -> Result<(u16, String), String> {
        // Not before the page is there.
        if std::net::TcpStream::connect(&self.page).is_err() {
            return Err("no page".to_owned());
        }
        let request = ureq::get(format!("http://{}{path}", self.page));
        let request = request.config().http_status_as_error(false).build();
        let mut answer = request.call().map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        Ok((status, answer.body_mut().read_to_string().map_err(|error| error.to_string())?))
    }

    /// Looks at the readiness until `is_so` of its status and reasons.
    #[track_caller]
    pub fn readiness(&self, what: &str, is_so: impl Fn(u16, &[Value]) -> bool) {
        look(what, || {
            let (status, last) = self.get("/readiness")?;
            let told: Value = serde_json::from_str(&last).unwrap_or_default();
            let reasons = told["reasons"].as_array().cloned().unwrap_or_default();
            if is_so(status, &reasons) { Ok(()) } else { Err(last) }
        });
    }

    /// Looks until it is ready.
    #[track_caller]
    pub fn is_ready(&self, what: &str) {
        self.readiness(what, |status, _| status == 200);
    }

    /// Looks until it is not ready for this reason.
    #[track_caller]
    pub fn is_not_ready(&self, reason: &str) {
        self.readiness(reason, |status, reasons| {
            status == 503 && reasons.iter().any(|told| told == reason)
        });
    }
}
