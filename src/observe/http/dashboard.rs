//! The dashboard: markup, style and scripts of `assets/` joined into one page that refers to
//! nothing outside of itself.
//!
//! ```text
//!  page.html ── {{style}}  ◄── uplot.min.css, style.css
//!            └─ {{script}} ◄── uplot.min.js, format.js, charts.js, panels.js, lists.js, desk.js,
//!                              main.js
//! ```
//! The content security policy names the style and the script by their SHA-256, so that nothing
//! else runs in the page, whatever is put into it. The charts are uPlot's (MIT, see
//! `assets/UPLOT_LICENSE`).

use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// Style sheets, in order.
const STYLES: [&str; 2] = [include_str!("assets/uplot.min.css"), include_str!("assets/style.css")];
/// Scripts, in order.
const SCRIPTS: [&str; 7] = [
    include_str!("assets/uplot.min.js"),
    include_str!("assets/format.js"),
    include_str!("assets/charts.js"),
    include_str!("assets/panels.js"),
    include_str!("assets/lists.js"),
    include_str!("assets/desk.js"),
    include_str!("assets/main.js"),
];
/// Markup with a place for each.
const MARKUP: &str = include_str!("assets/page.html");

/// The page and what it may do.
pub(super) struct Dashboard {
    /// The whole page.
    pub(super) html: String,
    /// Its content security policy.
    pub(super) policy: String,
}

static DASHBOARD: LazyLock<Dashboard> = LazyLock::new(|| {
    let (style, script) = (STYLES.join("\n"), SCRIPTS.join("\n"));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        base64(&Sha256::digest(&style)),
        base64(&Sha256::digest(&script)),
    );
    let html = MARKUP.replace("{{style}}", &style).replace("{{script}}", &script);
    Dashboard { html, policy }
});

/// The page, joined at the first call.
pub(super) fn dashboard() -> &'static Dashboard {
    &DASHBOARD
}

/// Standard base64 (RFC 4648 §4) with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { digit as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, coded) in cases {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn the_policy_names_exactly_what_stands_in_the_page() {
        let page = dashboard();
        for (tag, source) in [("style", "style-src"), ("script", "script-src")] {
            let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
            assert_eq!(page.html.matches(&open).count(), 1);
            // What a browser takes for the end of the element is the end of the first such word.
            let (_, rest) = page.html.split_once(&open).unwrap();
            let (inside, _) = rest.split_once(&close).unwrap();
            let hash = base64(&Sha256::digest(inside));
            assert!(page.policy.contains(&format!("{source} 'sha256-{hash}';")), "{tag}");
        }
        assert!(!page.policy.contains("unsafe"), "{}", page.policy);
        assert!(!page.html.contains("{{"), "a place was left empty");
        // An attribute that holds style or script would be refused by the policy.
        for attribute in [" style=", " onclick=", " onload=", " onsubmit="] {
            assert!(!MARKUP.contains(attribute), "{attribute}");
        }
    }
}
