//! Every key of `devmesh.toml`: what it is, what it takes, what holds without it.

use toml::Value;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One line of text.
    Text,
    /// A shell command.
    Command,
    /// A list of texts.
    List,
    /// A list of shell commands.
    Commands,
    /// A whole number within bounds.
    Number(i64, i64),
    /// An amount of US dollars.
    Usd,
    /// true or false.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// What to write, with an example.
    pub(crate) fn wanted(self) -> String {
        match self {
            Kind::Text => "a text in quotes".to_owned(),
            Kind::Command => "a shell command in quotes".to_owned(),
            Kind::List => "a list of texts, as in [\"a\", \"b\"]".to_owned(),
            Kind::Commands => "a list of shell commands, as in [\"cargo test\"]".to_owned(),
            Kind::Number(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Usd => "an amount of US dollars, as in 5 or 2.50".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }

    /// Whether a value is of this kind.
    pub(crate) fn takes(self, value: &Value) -> bool {
        match self {
            Kind::Text | Kind::Command => value.as_str().is_some_and(is_line),
            Kind::List | Kind::Commands => value
                .as_array()
                .is_some_and(|list| list.iter().all(|one| one.as_str().is_some_and(is_line))),
            Kind::Number(min, max) => value.as_integer().is_some_and(|n| (min..=max).contains(&n)),
            Kind::Usd => {
                let amount = value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
                amount.is_some_and(|usd| (0.0..=1_000_000.0).contains(&usd))
            }
            Kind::Flag => value.is_bool(),
            Kind::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        }
    }

    /// Reads what stands in an environment variable; lists are parted by commas.
    pub(crate) fn parse(self, text: &str) -> Option<Value> {
        let value = match self {
            Kind::Text | Kind::Command | Kind::Choice(_) => Value::from(text),
            Kind::List | Kind::Commands => {
                let all = text.split(',').map(str::trim).filter(|one| !one.is_empty());
                Value::Array(all.map(Value::from).collect())
            }
            Kind::Number(..) => Value::from(text.parse::<i64>().ok()?),
            Kind::Usd => Value::from(text.parse::<f64>().ok()?),
            Kind::Flag => match text {
                "1" | "true" | "yes" => Value::from(true),
                "0" | "false" | "no" => Value::from(false),
                _ => return None,
            },
        };
        self.takes(&value).then_some(value)
    }
}

fn is_line(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() && c != '\t' && c != '\n')
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// `section.key`.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// The environment variable that stands above the file.
    pub(crate) env: Option<&'static str>,
    /// What holds without it, as it would stand in the file; empty for nothing.
    pub(crate) default: &'static str,
    /// What it is.
    pub(crate) about: &'static str,
}

impl Key {
    /// The default as a value.
    pub(crate) fn default_value(&self) -> Option<Value> {
        self.kind.parse(self.default).filter(|_| !self.default.is_empty())
    }
}

const fn key(
    name: &'static str,
    kind: Kind,
    env: Option<&'static str>,
    default: &'static str,
    about: &'static str,
) -> Key {
    Key { name, kind, env, default, about }
}

/// Words of a flow.
const FLOWS: &[&str] = &["merge", "branch", "pr", "patch"];
/// Words of a review.
const REVIEWS: &[&str] = &["none", "agent", "person"];

/// All keys, in the order they are shown.
pub(crate) const KEYS: &[Key] = &[
    key("repo.name", Kind::Text, None, "", "the repository's name in the mesh; its folder's"),
    key("repo.base", Kind::Text, None, "", "the branch that tasks start from; the one checked out"),
    key("repo.url", Kind::Text, None, "", "where other hosts get it from"),
    key("repo.ignore_case", Kind::Flag, None, "false", "names that differ by case are one file"),
    key("worktree.setup", Kind::Command, None, "", "makes a fresh worktree ready"),
    key(
        "worktree.setup_inputs",
        Kind::List,
        None,
        "",
        "files whose change asks for setup again; not used yet",
    ),
    key(
        "worktree.copy",
        Kind::List,
        None,
        "",
        "untracked files that each worktree gets; not used yet",
    ),
    key("verify.task", Kind::Commands, None, "", "fast proof of a task"),
    key("verify.land", Kind::Commands, None, "", "full proof before landing"),
    key("land.on", Kind::Text, None, "", "the branch work lands on; devmesh/landed/<base>"),
    key("land.push", Kind::Flag, None, "false", "push what has landed; not used yet"),
    key("land.flow", Kind::Choice(FLOWS), None, "merge", "what becomes of verified work"),
    key("review.by", Kind::Choice(REVIEWS), None, "none", "who looks at a diff before it lands"),
    key("budget.usd_per_task", Kind::Usd, None, "5", "cost ceiling of one task"),
    key("budget.usd_per_day", Kind::Number(0, 1_000_000), None, "50", "cost ceiling of a day"),
    key("budget.max_attempts", Kind::Number(1, 100), None, "3", "tries until a task has failed"),
    key(
        "budget.max_wall_s",
        Kind::Number(1, 604_800),
        None,
        "3600",
        "limit of one try, in seconds",
    ),
    key("env.pass", Kind::List, Some("DEVMESH_ENV_PASS"), "", "variables that tools may see"),
    key(
        "lease.ttl_s",
        Kind::Number(5, 300),
        Some("DEVMESH_LOCK_TTL_SEC"),
        "15",
        "how long an agent's lease outlives its last heartbeat, in seconds",
    ),
    key(
        "lease.grace_s",
        Kind::Number(0, 60),
        Some("DEVMESH_HEARTBEAT_GRACE_SEC"),
        "5",
        "seconds beyond that before it is freed",
    ),
    key(
        "lease.reconnect_s",
        Kind::Number(1, 600),
        Some("DEVMESH_AGENT_RECONNECT_GRACE_SEC"),
        "30",
        "seconds of silence that end an agent's session",
    ),
    key("hot.paths", Kind::List, None, "", "files that everybody writes: shared, never waited for"),
];
