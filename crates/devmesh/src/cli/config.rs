//! `devmesh config`: each value with its source.

use serde_json::json;

use crate::config::{self, Config, KEYS, User};
use crate::context::Context;
use crate::error::Result;
use crate::output::Table;

/// Show each configured value with its source
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// List what devmesh.toml can say
    #[arg(long)]
    keys: bool,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        if self.keys {
            return keys(context);
        }
        let root = context.repo()?.map(|repo| repo.root);
        let config = Config::load(root.as_deref())?;
        let user = User::load()?;
        let state = context.state()?;
        if context.out.json {
            let values = config.shown();
            let values = values.iter().map(|(key, value, source)| {
                json!({ "key": key.name, "value": value, "source": source.to_string() })
            });
            context.out.json(&json!({
                "mesh": state.mesh, "state_dir": state.path,
                "user_file": config::user_path(), "values": values.collect::<Vec<_>>(),
            }));
            return Ok(());
        }
        let mut table = Table::new(&["KEY", "VALUE", "SOURCE"]);
        table.row(&["mesh", state.mesh.as_str(), ""]);
        table.row(&["state_dir", &state.path.display().to_string(), ""]);
        for (key, value, source) in config.shown() {
            let value = value.map_or_else(|| "-".to_owned(), ToString::to_string);
            table.row(&[key.name, &value, &source.to_string()]);
        }
        let file = config::user_path().map(|path| path.display().to_string()).unwrap_or_default();
        table.row(&["agents", &user.agents.len().to_string(), &file]);
        let notices = user.notices.command.as_deref().unwrap_or("-");
        table.row(&["notices.command", notices, &file]);
        context.out.table(&table, "nothing is configured");
        Ok(())
    }
}

fn keys(context: &Context) -> Result<()> {
    if context.out.json {
        let keys = KEYS.iter().map(|key| {
            json!({ "key": key.name, "takes": key.kind.wanted(), "default": key.default,
                    "env": key.env, "about": key.about })
        });
        context.out.json(&keys.collect::<Vec<_>>());
        return Ok(());
    }
    let mut table = Table::new(&["KEY", "DEFAULT", "TAKES", "WHAT IT IS"]);
    for key in KEYS {
        let default = if key.default.is_empty() { "-" } else { key.default };
        table.row(&[key.name, default, &key.kind.wanted(), key.about]);
    }
    context.out.table(&table, "");
    Ok(())
}
