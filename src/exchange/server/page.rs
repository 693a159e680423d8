//! Answers as bytes, and the pages that the venue's gateway answers with by itself.

use super::http1::Refusal;
use crate::base::Nanos;
use crate::exchange::wire::http::Answer;
use std::io::Write;

/// How an answer is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Without its body.
    pub head_only: bool,
    /// The connection stays open behind it.
    pub keep_alive: bool,
}

/// Appends an answer.
pub fn put(out: &mut Vec<u8>, answer: &Answer, manner: Manner, now: Nanos) {
    let status = answer.status;
    // Writing to a vector does not fail.
    let _ = write!(out, "HTTP/1.1 {status} {}\r\n", reason(status));
    let _ = write!(out, "content-type: {}\r\n", answer.content_type);
    if status != 204 {
        let _ = write!(out, "content-length: {}\r\n", answer.body.len());
    }
    let _ = write!(out, "date: {}\r\n", date(now));
    if !answer.headers.iter().any(|(name, _)| *name == "server") {
        out.extend_from_slice(b"server: Tengine\r\n");
    }
    for (name, value) in &answer.headers {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    let connection = if manner.keep_alive { "keep-alive" } else { "close" };
    let _ = write!(out, "connection: {connection}\r\n\r\n");
    if !manner.head_only && status != 204 {
        out.extend_from_slice(&answer.body);
    }
}

/// The gateway's page for a request that was not taken.
pub fn refusal(why: Refusal) -> Answer {
    gateway(match why {
        Refusal::Malformed => 400,
        Refusal::BodyTooLong => 413,
        Refusal::LineTooLong => 414,
        Refusal::HeadersTooLong => 431,
        Refusal::Expectation => 417,
        Refusal::Coding => 501,
        Refusal::Version => 505,
    })
}

/// A page of the load balancer: a status and nothing to parse.
pub fn gateway(status: u16) -> Answer {
    let title = format!("{status} {}", reason(status));
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1>\
         </center>\r\n</body>\r\n</html>\r\n"
    );
    html(status, "awselb/2.0", body)
}

/// The page of the application firewall (403).
pub fn firewall() -> Answer {
    let body = "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01 Transitional//EN\" \
        \"http://www.w3.org/TR/html4/loose.dtd\">\n<HTML><HEAD><META HTTP-EQUIV=\"Content-Type\" \
        CONTENT=\"text/html; charset=iso-8859-1\">\n<TITLE>ERROR: The request could not be \
        satisfied</TITLE>\n</HEAD><BODY>\n<H1>403 ERROR</H1>\n<H2>The request could not be \
        satisfied.</H2>\n<HR noshade size=\"1px\">\nRequest blocked.\n</BODY></HTML>\n";
    html(403, "CloudFront", body.to_owned())
}

/// What every method's answer allows.
pub fn options() -> Answer {
    let mut answer = Answer::json(200, "");
    answer.headers = vec![
        ("access-control-allow-origin", "*".to_owned()),
        ("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS".to_owned()),
    ];
    answer
}

fn html(status: u16, server: &str, body: String) -> Answer {
    let headers = vec![("server", server.to_owned())];
    Answer { status, headers, content_type: "text/html", body: body.into_bytes() }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(now: Nanos) -> String {
    let time = jiff::Timestamp::from_second(now.0.div_euclid(1_000_000_000)).unwrap_or_default();
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The usual words of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110, section 5.6.7.
    #[test]
    fn the_date_is_that_of_the_standards_example() {
        let moment: jiff::Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(date(Nanos::from_secs(moment.as_second())), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn an_answer_tells_its_length_and_whether_the_connection_stays() {
        let put = |manner| {
            let mut out = Vec::new();
            super::put(&mut out, &Answer::json(200, "{}"), manner, Nanos::ZERO);
            String::from_utf8(out).unwrap()
        };
        let text = put(Manner { head_only: false, keep_alive: true });
        assert!(text.starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/json"), "{text}");
        assert!(text.contains("content-length: 2\r\n") && text.ends_with("\r\n\r\n{}"), "{text}");
        let text = put(Manner { head_only: true, keep_alive: false });
        assert!(text.contains("content-length: 2\r\n"), "{text}");
        assert!(text.ends_with("connection: close\r\n\r\n"), "{text}");
    }
}
