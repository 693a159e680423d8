//! A token that never shows: not in logs, errors, pages or memory dumps after it is dropped.

use zeroize::Zeroizing;

/// See the head of this file.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// What stands in a secret's place.
const HIDDEN: &str = "…";

impl Secret {
    /// Keeps `text`; blanks around it, such as a file's last line feed, are no part of it.
    pub fn new(text: String) -> Self {
        let text = Zeroizing::new(text);
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True where there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` with the secret taken out of it.
    pub fn hide_in(&self, text: &str) -> String {
        if self.is_empty() { text.to_owned() } else { text.replace(self.expose(), HIDDEN) }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
