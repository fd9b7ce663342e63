//! The repository that is worked on, and the tasks: what a person asks for, what the scripted CLI
//! does about it, and what must stand in the landed tree for it to count.

/// The identity of whoever watches.
pub(crate) const GIT_CONFIG: &str =
    "[user]\n\tname = A Visitor\n\temail = visitor@example.invalid\n[commit]\n\tgpgSign = false\n";

/// The first commit.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("devmesh.toml", "[verify]\ntask = [\"sh tests/run.sh\"]\n"),
    ("README.md", "# A shop\n\nIts till is written in shell.\n"),
    ("CHANGELOG.md", "# Changes\n\n- The shop is open.\n"),
    ("fruit.txt", "apple\nbanana\ncherry\n"),
    ("src/money.sh", "# Amounts are whole cents.\nprice() { echo \"$1\"; }\n"),
    ("src/cart.sh", "# A cart is a list of prices.\nempty() { echo; }\n"),
    ("tests/run.sh", TEST),
];

/// What proves a task.
const TEST: &str = "\
set -e
for file in src/*.sh; do sh -n \"$file\"; done
sort -c fruit.txt
! grep -rn '^<<<<<<<' src docs *.md
echo 'all tests passed'
";

/// What a task is there to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Work beside others.
    Work,
    /// Its first verification fails, its second passes.
    Retry,
    /// A person looks at it before it lands.
    Review,
    /// Its agent is killed in the middle, for good; another goes on.
    Kill,
    /// It meets another in the same line.
    Conflict,
}

/// One task.
#[derive(Debug)]
pub(crate) struct Task {
    /// What it is called.
    pub(crate) title: &'static str,
    /// What it says that it will touch.
    pub(crate) paths: &'static [&'static str],
    /// The task, by its place in the list, that must have landed before.
    pub(crate) after: Option<usize>,
    /// What it is there to show.
    pub(crate) shows: Shows,
    /// What the scripted CLI runs.
    pub(crate) script: &'static str,
    /// What it runs instead in every attempt but the first.
    pub(crate) later: Option<&'static str>,
    /// A file of the landed tree and a line that stands there exactly once.
    pub(crate) leaves: (&'static str, &'static str),
}

impl Task {
    const fn plain(
        title: &'static str,
        paths: &'static [&'static str],
        script: &'static str,
        leaves: (&'static str, &'static str),
    ) -> Self {
        Self { title, paths, after: None, shows: Shows::Work, script, later: None, leaves }
    }

    const fn showing(self, shows: Shows) -> Self {
        Self { shows, ..self }
    }

    const fn after(self, task: usize) -> Self {
        Self { after: Some(task), ..self }
    }

    const fn later(self, script: &'static str) -> Self {
        Self { later: Some(script), ..self }
    }

    /// What its worker reads; the first line names it.
    pub(crate) fn prompt(&self) -> String {
        let Self { title, script, .. } = self;
        match self.later {
            None => format!("{title}\n\n```sh\n{script}```\n"),
            Some(later) => {
                format!("{title}\n\n```sh attempt=1\n{script}```\n\n```sh attempt=2+\n{later}```\n")
            }
        }
    }
}

/// What the killed agent had written and another adds: all of `docs/history.md` in the end.
pub(crate) const HALVES: (&str, &str) = ("It began with an apple.", "Then came the till.");

/// All tasks, in the order they are queued.
pub(crate) const TASKS: [Task; 12] = [
    // Its agent is killed for good once the first half is saved; another adds the second half to
    // what it finds.
    Task::plain(
        "write down how the shop began",
        &["docs/history.md"],
        "mkdir -p docs\necho 'It began with an apple.' > docs/history.md\n\
         until [ -e $TMPDIR/killed ]; do sleep 0.1; done\n",
        ("docs/history.md", HALVES.1),
    )
    .showing(Shows::Kill)
    .later("echo 'Then came the till.' >> docs/history.md\n"),
    // The next two say nothing of what they touch, wait until both have begun, and write the same
    // line: whoever lands second gets the conflict back and resolves it.
    Task::plain(
        "note the tax among the changes",
        &[],
        "touch $TMPDIR/tax; until [ -e $TMPDIR/guide ]; do sleep 0.1; done\n\
         grep -q tax CHANGELOG.md || echo '- Prices carry tax.' >> CHANGELOG.md\n\
         sed '/^[<=>|]\\{7\\}/d' CHANGELOG.md > changes && mv changes CHANGELOG.md\n",
        ("CHANGELOG.md", "- Prices carry tax."),
    )
    .showing(Shows::Conflict),
    Task::plain(
        "note the guide among the changes",
        &[],
        "touch $TMPDIR/guide; until [ -e $TMPDIR/tax ]; do sleep 0.1; done\n\
         grep -q guide CHANGELOG.md || echo '- There is a guide.' >> CHANGELOG.md\n\
         sed '/^[<=>|]\\{7\\}/d' CHANGELOG.md > changes && mv changes CHANGELOG.md\n",
        ("CHANGELOG.md", "- There is a guide."),
    )
    .showing(Shows::Conflict),
    Task::plain(
        "sell pears and dates",
        &["fruit.txt"],
        "if grep -q pear fruit.txt; then sort -u fruit.txt > sorted && mv sorted fruit.txt\n\
         else printf 'pear\\ndate\\n' >> fruit.txt; fi\n",
        ("fruit.txt", "date"),
    )
    .showing(Shows::Retry),
    // These four overlap: three files of one folder, and the folder itself.
    Task::plain(
        "add tax to a price",
        &["src/money.sh"],
        "echo 'taxed() { echo $(($1 * 107 / 100)); }' >> src/money.sh\nsleep 0.3\n",
        ("src/money.sh", "taxed() { echo $(($1 * 107 / 100)); }"),
    ),
    Task::plain(
        "show a price in euros",
        &["src/money.sh"],
        "echo 'euros() { echo $(($1 / 100)).$(($1 % 100)); }' >> src/money.sh\nsleep 0.3\n",
        ("src/money.sh", "euros() { echo $(($1 / 100)).$(($1 % 100)); }"),
    ),
    Task::plain(
        "count what is in a cart",
        &["src/cart.sh"],
        "echo 'count() { echo $#; }' >> src/cart.sh\nsleep 0.3\n",
        ("src/cart.sh", "count() { echo $#; }"),
    ),
    Task::plain(
        "say in each source whose it is",
        &["src/"],
        "for file in src/*.sh; do echo '# Of the shop.' >> \"$file\"; done\n",
        ("src/cart.sh", "# Of the shop."),
    ),
    // A chain: each chapter is added to the one before.
    Task::plain(
        "begin a guide",
        &["docs/guide.md"],
        "mkdir -p docs\nprintf '# Guide\\n\\n1. Enter.\\n' > docs/guide.md\n",
        ("docs/guide.md", "1. Enter."),
    ),
    Task::plain(
        "go on with the guide",
        &["docs/guide.md"],
        "grep -q '^1' docs/guide.md\necho '2. Choose.' >> docs/guide.md\n",
        ("docs/guide.md", "2. Choose."),
    )
    .after(8),
    Task::plain(
        "end the guide",
        &["docs/guide.md"],
        "grep -q '^2' docs/guide.md\necho '3. Pay.' >> docs/guide.md\n",
        ("docs/guide.md", "3. Pay."),
    )
    .after(9),
    Task::plain(
        "say who may copy the shop",
        &["LICENCE"],
        "echo 'Anybody may copy this shop.' > LICENCE\n",
        ("LICENCE", "Anybody may copy this shop."),
    )
    .showing(Shows::Review),
];
