//! What makes each tool ask the scripted model: settings in a home, and the environment that has
//! no settings to stand for it.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::{Tool, folder};

#[cfg(test)]
mod tests;

/// Any key does.
const KEY: &str = "scripted";

/// Writes what a tool needs into an empty home so that it asks the scripted model under `url`,
/// as [`crate::model::Server::url`] gives it. `HOME` then has to point there, without any
/// `XDG_…` beside it, and the variables returned have to be set; codex and claude need none.
///
/// # Errors
/// When the files cannot be written.
pub fn write_home(
    tool: Tool,
    home: &Path,
    url: &str,
    model: &str,
) -> io::Result<Vec<(String, String)>> {
    std::fs::create_dir_all(home)?;
    let (file, text) = match tool {
        Tool::Codex => (".codex/config.toml", codex_config(url, model)),
        Tool::Claude => (".claude/settings.json", claude_settings(url, model).to_string()),
        Tool::Gemini => (".gemini/settings.json", gemini_settings(model).to_string()),
        Tool::OpenCode => (".config/opencode/opencode.json", opencode_config(url, model)),
        Tool::Copilot => (".copilot/config.json", json!({ "banner": "never" }).to_string()),
        Tool::Continue => (".continue/config.yaml", continue_config(url, model).to_string()),
        Tool::Aider => (".aider.conf.yml", aider_config(url, model).to_string()),
    };
    let file = home.join(file);
    std::fs::create_dir_all(file.parent().unwrap_or(home))?;
    std::fs::write(file, text)?;
    environment(tool, url, model)
}

/// What cannot be said in a file.
fn environment(tool: Tool, url: &str, model: &str) -> io::Result<Vec<(String, String)>> {
    let openai = format!("{url}/v1");
    let cache = folder()?.join("copilot/cache").display().to_string();
    let variables: &[(&str, &str)] = match tool {
        Tool::Codex | Tool::Claude => &[],
        Tool::Gemini => &[
            ("GEMINI_API_KEY", KEY),
            ("GOOGLE_GEMINI_BASE_URL", url),
            // Otherwise a parent without a use stands between it and who started it.
            ("GEMINI_CLI_NO_RELAUNCH", "true"),
        ],
        Tool::OpenCode => &[
            ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
            ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1"),
            ("npm_config_offline", "true"),
        ],
        Tool::Copilot => &[
            ("COPILOT_OFFLINE", "true"),
            ("COPILOT_AUTO_UPDATE", "false"),
            ("COPILOT_PROVIDER_BASE_URL", &openai),
            ("COPILOT_PROVIDER_API_KEY", KEY),
            ("COPILOT_MODEL", model),
            // It unpacks some hundred megabytes into each fresh cache.
            ("XDG_CACHE_HOME", &cache),
        ],
        Tool::Continue => {
            &[("CONTINUE_TELEMETRY_ENABLED", "0"), ("CONTINUE_CLI_DISABLE_UPDATE", "1")]
        }
        // Otherwise it asks the network for a list of prices.
        Tool::Aider => &[("LITELLM_LOCAL_MODEL_COST_MAP", "True")],
    };
    Ok(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn codex_config(url: &str, model: &str) -> String {
    // A JSON string is a TOML basic string.
    let (url, model) = (json!(format!("{url}/v1")), json!(model));
    format!(
        "model = {model}\nmodel_provider = \"scripted\"\ncheck_for_update_on_startup = false\n\
         [analytics]\nenabled = false\n\
         [model_providers.scripted]\nname = \"scripted\"\nbase_url = {url}\n\
         wire_api = \"responses\"\n"
    )
}

fn claude_settings(url: &str, model: &str) -> Value {
    json!({
        "model": model,
        "env": {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        },
    })
}

fn gemini_settings(model: &str) -> Value {
    json!({
        "model": { "name": model },
        // Without it, another address than Google's is an invalid way to sign in.
        "security": { "auth": { "selectedType": "gemini-api-key" } },
        "privacy": { "usageStatisticsEnabled": false },
        "telemetry": { "enabled": false },
        "general": { "enableAutoUpdate": false, "enableAutoUpdateNotification": false },
    })
}

fn opencode_config(url: &str, model: &str) -> String {
    let name = format!("scripted/{model}");
    let known = json!({
        "name": model, "tool_call": true,
        "limit": { "context": 128_000, "output": 8192 }, "cost": { "input": 1, "output": 2 },
    });
    let config = json!({
        "model": name, "small_model": name, "enabled_providers": ["scripted"],
        "autoupdate": false, "share": "disabled",
        "provider": { "scripted": {
            "npm": "@ai-sdk/openai-compatible", "name": "scripted", "models": { model: known },
            "options": { "baseURL": format!("{url}/v1"), "apiKey": KEY },
        }},
    });
    config.to_string()
}

/// JSON is YAML.
fn continue_config(url: &str, model: &str) -> Value {
    json!({
        "name": "scripted", "version": "1.0.0", "schema": "v1",
        "models": [{
            "name": model, "model": model, "provider": "openai", "apiKey": KEY,
            "apiBase": format!("{url}/v1"), "useResponsesApi": false,
            "roles": ["chat", "edit", "apply"], "capabilities": ["tool_use"],
        }],
    })
}

/// JSON is YAML; each field is an option of the command line.
fn aider_config(url: &str, model: &str) -> Value {
    let name = format!("openai/{model}");
    json!({
        "model": name, "weak-model": name, "edit-format": "diff",
        "openai-api-base": format!("{url}/v1"), "openai-api-key": KEY,
        "yes-always": true, "map-tokens": 0, "timeout": 60,
        "analytics-disable": true, "check-update": false, "show-release-notes": false,
        "show-model-warnings": false, "pretty": false, "fancy-input": false, "gitignore": false,
        "detect-urls": false, "suggest-shell-commands": false,
    })
}
