//! The profiles that come with the binary, by name.

/// Each with its file.
pub(super) const BUILT_IN: [(&str, &str); 15] = [
    ("aider", include_str!("../../profiles/aider.toml")),
    ("amp", include_str!("../../profiles/amp.toml")),
    ("claude", include_str!("../../profiles/claude.toml")),
    ("codex", include_str!("../../profiles/codex.toml")),
    ("cody", include_str!("../../profiles/cody.toml")),
    ("continue", include_str!("../../profiles/continue.toml")),
    ("copilot", include_str!("../../profiles/copilot.toml")),
    ("cursor", include_str!("../../profiles/cursor.toml")),
    ("custom", include_str!("../../profiles/custom.toml")),
    ("gemini", include_str!("../../profiles/gemini.toml")),
    ("goose", include_str!("../../profiles/goose.toml")),
    ("ollama", include_str!("../../profiles/ollama.toml")),
    ("opencode", include_str!("../../profiles/opencode.toml")),
    ("scripted", include_str!("../../profiles/scripted.toml")),
    ("sgpt", include_str!("../../profiles/sgpt.toml")),
];
