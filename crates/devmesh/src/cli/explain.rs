//! `devmesh explain`: a page for each rejection code and each rule.

use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::explain;
use crate::output::Table;

/// Explain a rejection code or a rule of the rulebook; without one, list them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// LOCK_CONFLICT, R04 …
    #[arg(value_name = "CODE|RULE")]
    about: Option<String>,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let Some(about) = self.about else {
            let mut table = Table::new(&["CODE", "WHAT IT SAYS"]);
            let all = explain::all();
            if context.out.json {
                let one = |(name, line)| json!({ "name": name, "about": line });
                context.out.json(&all.into_iter().map(one).collect::<Vec<Value>>());
                return Ok(());
            }
            for (name, line) in all {
                table.row(&[name, &line]);
            }
            context.out.table(&table, "");
            return Ok(());
        };
        let page = explain::page(&about.to_uppercase()).ok_or_else(|| {
            Error::usage(format!("there is no page on {about:?}"))
                .hint("`devmesh explain` lists all codes and rules")
        })?;
        if context.out.json {
            context.out.json(&json!({ "name": about.to_uppercase(), "text": page.trim_end() }));
        } else {
            context.out.line(page.trim_end());
        }
        Ok(())
    }
}
