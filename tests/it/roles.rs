//! Every role tries what it may and what it may not.

use devmesh_bus::cred::{Account, ROLES, Role, accounts, role_name};

use super::world::World;

/// What a role's user tries, and what of it must be refused. `me` is the user's own name.
struct Case {
    may_publish: &'static [&'static str],
    may_not_publish: &'static [&'static str],
    may_subscribe: &'static [&'static str],
    may_not_subscribe: &'static [&'static str],
}

/// Nobody's, in either account.
const NEVER_PUBLISH: &[&str] = &[
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.DELETE.DEVMESH_MY-MESH",
    "$JS.API.STREAM.PURGE.DEVMESH_MY-MESH",
    "$JS.API.STREAM.MSG.DELETE.DEVMESH_MY-MESH",
    "$JS.API.STREAM.SNAPSHOT.DEVMESH_MY-MESH",
    "$JS.API.STREAM.RESTORE.DEVMESH_MY-MESH",
    "$JS.API.STREAM.LEADER.STEPDOWN.DEVMESH_MY-MESH",
    "$JS.API.STREAM.CREATE.OTHER",
    "$JS.API.STREAM.DELETE.DEVMESH_MY-MESH_MAIL",
    "$JS.API.STREAM.DELETE.DEVMESH_MY-MESH_OUTPUT",
    "$JS.API.STREAM.DELETE.DEVMESH_MY-MESH_BLOB",
    "$JS.API.CONSUMER.CREATE.DEVMESH_MY-MESH",
    "$JS.API.CONSUMER.CREATE.DEVMESH_MY-MESH_MAIL",
    "$JS.API.CONSUMER.CREATE.DEVMESH_MY-MESH_MAIL.bob.devmesh.my-mesh.mail.*.bob",
    "$JS.API.CONSUMER.CREATE.DEVMESH_MY-MESH_MAIL.me.devmesh.my-mesh.mail.>",
    "$JS.API.CONSUMER.CREATE.DEVMESH_MY-MESH_MAIL.me.devmesh.my-mesh.mail.*.bob",
    "$JS.API.CONSUMER.DURABLE.CREATE.DEVMESH_MY-MESH_MAIL.bob",
    "$JS.API.CONSUMER.MSG.NEXT.DEVMESH_MY-MESH_MAIL.bob",
    "$JS.API.CONSUMER.DELETE.DEVMESH_MY-MESH_MAIL.bob",
    "$JS.ACK.DEVMESH_MY-MESH_MAIL.bob.1.1.1.1.0",
    "$JS.API.STREAM.MSG.GET.DEVMESH_MY-MESH_MAIL",
    "$JS.API.DIRECT.GET.DEVMESH_MY-MESH_MAIL",
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.ACCOUNT.PING",
    "$SYS.REQ.SERVER.PING",
    "_INBOX.bob.1",
    "devmesh.my-mesh.cmd.bob.agent.leave",
    "devmesh.my-mesh.query.bob.state",
    "devmesh.my-mesh.beat.bob",
    "devmesh.my-mesh.output.bob.t-1.1",
    "devmesh.my-mesh.blob.bob.d.0",
    "devmesh.my-mesh.mail.bob.me",
    "devmesh.my-mesh.report.bob",
    "devmesh.other.cmd.me.agent.join",
    "devmesh.other.log",
];

const NEVER_SUBSCRIBE: &[&str] = &[
    ">",
    "devmesh.>",
    "_INBOX.>",
    "_INBOX.*",
    "_INBOX.bob.>",
    "_R_.>",
    "$JS.>",
    "$SYS.>",
    "devmesh.my-mesh.log",
    "devmesh.my-mesh.mail.*.bob",
    "devmesh.my-mesh.mail.>",
    "devmesh.my-mesh.blob.>",
    "devmesh.my-mesh.output.>",
];

const AGENT: Case = Case {
    may_publish: &[
        "devmesh.my-mesh.cmd.me.lock.acquire",
        "devmesh.my-mesh.query.me.state",
        "devmesh.my-mesh.beat.me",
        "devmesh.my-mesh.output.me.t-1.1",
        "devmesh.my-mesh.blob.me.d.0",
        "devmesh.my-mesh.mail.me.bob",
    ],
    may_not_publish: &[
        "devmesh.my-mesh.log",
        "devmesh.my-mesh.event.task_added.t-1",
        "devmesh.my-mesh.leader",
        "_R_.abcdef.ghijkl",
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.DEVMESH_MY-MESH",
        "$JS.API.STREAM.INFO.DEVMESH_MY-MESH_OUTPUT",
        "$JS.API.CONSUMER.CREATE.DEVMESH_MY-MESH_OUTPUT.x.devmesh.my-mesh.output.>",
        "$JS.API.DIRECT.GET.DEVMESH_MY-MESH_BLOB",
    ],
    may_subscribe: &["_INBOX.me.>", "devmesh.my-mesh.event.>"],
    may_not_subscribe: &["devmesh.my-mesh.cmd.>", "devmesh.my-mesh.cmd.me.>"],
};

fn case(role: Role, account: Account) -> Case {
    match (role, account) {
        (Role::Agent, _) => AGENT,
        (Role::Person | Role::Dashboard, Account::Mesh) => Case {
            may_publish: &[
                "devmesh.my-mesh.cmd.me.task.add",
                "devmesh.my-mesh.query.me.state",
                "devmesh.my-mesh.blob.me.d.0",
                "$JS.API.STREAM.INFO.DEVMESH_MY-MESH_OUTPUT",
            ],
            may_not_publish: &[
                "devmesh.my-mesh.log",
                "devmesh.my-mesh.event.task_added.t-1",
                "_R_.abcdef.ghijkl",
                "$JS.API.STREAM.PURGE.DEVMESH_MY-MESH_OUTPUT",
            ],
            may_subscribe: &["_INBOX.me.>", "devmesh.my-mesh.event.>", "devmesh.my-mesh.report.*"],
            may_not_subscribe: &["devmesh.my-mesh.cmd.>", "devmesh.my-mesh.beat.*"],
        },
        (Role::Probe, _) => Case {
            may_publish: &["devmesh.my-mesh.report.me", "devmesh.my-mesh.query.me.settings"],
            may_not_publish: &[
                "devmesh.my-mesh.cmd.me.setting.set",
                "devmesh.my-mesh.beat.me",
                "devmesh.my-mesh.output.me.t-1.1",
                "devmesh.my-mesh.log",
            ],
            may_subscribe: &["_INBOX.me.>", "devmesh.my-mesh.event.>"],
            may_not_subscribe: &["devmesh.my-mesh.cmd.>", "devmesh.my-mesh.report.*"],
        },
        (Role::Viewer, Account::Mesh) => Case {
            may_publish: &["devmesh.my-mesh.query.me.state"],
            may_not_publish: &[
                "devmesh.my-mesh.cmd.me.task.cancel",
                "devmesh.my-mesh.mail.me.bob",
                "devmesh.my-mesh.blob.me.d.0",
                "devmesh.my-mesh.log",
            ],
            may_subscribe: &["_INBOX.me.>", "devmesh.my-mesh.event.>", "devmesh.my-mesh.report.*"],
            may_not_subscribe: &["devmesh.my-mesh.cmd.>"],
        },
        (_, Account::Core) | (Role::Replay, _) => case_of_core(role),
        (Role::Coordinator, Account::Mesh) => Case {
            may_publish: &["devmesh.my-mesh.blob.me.d.0", "devmesh.my-mesh.mail.me.bob"],
            may_not_publish: &["devmesh.my-mesh.cmd.me.task.add", "devmesh.my-mesh.log"],
            may_subscribe: &["_INBOX.me.>"],
            may_not_subscribe: &["devmesh.my-mesh.cmd.>"],
        },
        (Role::Admin, Account::Mesh) => Case {
            may_publish: &[
                "devmesh.my-mesh.cmd.me.actor.add",
                "$JS.API.INFO",
                "$JS.API.STREAM.INFO.DEVMESH_MY-MESH_MAIL",
            ],
            may_not_publish: &["devmesh.my-mesh.log", "devmesh.my-mesh.mail.me.bob"],
            may_subscribe: &["_INBOX.me.>"],
            may_not_subscribe: &["devmesh.my-mesh.cmd.>", "devmesh.my-mesh.event.>"],
        },
    }
}

fn case_of_core(role: Role) -> Case {
    match role {
        Role::Agent | Role::Person | Role::Probe => panic!("{role:?} has no part in CORE"),
        Role::Replay | Role::Dashboard | Role::Viewer => Case {
            may_publish: &[
                "$JS.API.STREAM.INFO.DEVMESH_MY-MESH",
                "$JS.API.STREAM.MSG.GET.DEVMESH_MY-MESH",
                "$JS.API.CONSUMER.CREATE.DEVMESH_MY-MESH.x.devmesh.my-mesh.log",
            ],
            may_not_publish: &[
                "devmesh.my-mesh.log",
                "devmesh.my-mesh.text.d",
                "devmesh.my-mesh.cmd.me.task.cancel",
                "devmesh.my-mesh.event.task_added.t-1",
                "_R_.abcdef.ghijkl",
                "$JS.API.STREAM.UPDATE.DEVMESH_MY-MESH",
                "$JS.API.STREAM.MSG.DELETE.DEVMESH_MY-MESH_TEXT",
            ],
            may_subscribe: &["_INBOX.me.>", "devmesh.my-mesh.event.>"],
            may_not_subscribe: &["devmesh.my-mesh.cmd.>", "devmesh.my-mesh.text.*"],
        },
        Role::Coordinator => Case {
            may_publish: &[
                "devmesh.my-mesh.event.task_added.t-1",
                "devmesh.my-mesh.leader",
                "_R_.abcdef.ghijkl",
                "$JS.API.STREAM.INFO.DEVMESH_MY-MESH",
            ],
            may_not_publish: &[
                "$JS.API.STREAM.UPDATE.DEVMESH_MY-MESH",
                "$JS.API.STREAM.CREATE.DEVMESH_MY-MESH",
                "$JS.API.INFO",
            ],
            may_subscribe: &[
                "devmesh.my-mesh.cmd.>",
                "devmesh.my-mesh.query.>",
                "devmesh.my-mesh.beat.*",
                "devmesh.my-mesh.report.*",
                "devmesh.my-mesh.leader",
            ],
            may_not_subscribe: &["devmesh.other.cmd.>"],
        },
        Role::Admin => Case {
            may_publish: &["$JS.API.INFO", "$JS.API.STREAM.INFO.DEVMESH_MY-MESH"],
            may_not_publish: &["devmesh.my-mesh.log", "devmesh.my-mesh.text.d", "_R_.a.b"],
            may_subscribe: &["_INBOX.me.>"],
            may_not_subscribe: &["devmesh.my-mesh.cmd.>", "devmesh.my-mesh.event.>"],
        },
    }
}

fn named(subjects: &[&[&str]], name: &str) -> Vec<String> {
    let word = |word: &str| if word == "me" { name.to_owned() } else { word.to_owned() };
    let fill = |s: &&str| s.split('.').map(word).collect::<Vec<_>>().join(".");
    subjects.concat().iter().map(fill).collect()
}

#[tokio::test]
async fn each_role_is_held_to_its_list() {
    let world = World::start().await;
    for role in ROLES {
        for account in accounts(role) {
            let name = format!("a-{}", role_name(role));
            let user = world.watched(&name, role, *account).await;
            let case = case(role, *account);
            let who = format!("{name} in {}", account.as_str());

            let may = named(&[case.may_publish], &name);
            assert_eq!(user.refused_publish(&may).await, Vec::<String>::new(), "{who}");
            let may = named(&[case.may_subscribe], &name);
            assert_eq!(user.refused_subscribe(&may).await, Vec::<String>::new(), "{who}");

            let may_not = named(&[case.may_not_publish, NEVER_PUBLISH], &name);
            assert_eq!(user.refused_publish(&may_not).await, may_not, "{who}");
            let may_not = named(&[case.may_not_subscribe, NEVER_SUBSCRIBE], &name);
            assert_eq!(user.refused_subscribe(&may_not).await, may_not, "{who}");
        }
    }
}

#[tokio::test]
async fn the_two_accounts_do_not_see_each_other() {
    let world = World::start().await;
    let agent = world.watched("alice", Role::Agent, Account::Mesh).await;
    // Refused by permission, and, were it not, there is no such stream in this account.
    let log = vec!["devmesh.my-mesh.log".to_owned()];
    assert_eq!(agent.refused_publish(&log).await, log);
    let admin = world.connect("admin", Role::Admin, Account::Mesh).await;
    let limits = devmesh_bus::provision::Limits::default();
    let made = devmesh_bus::provision::core(&admin, "my-mesh", &limits);
    let refused = tokio::time::timeout(std::time::Duration::from_secs(1), made).await;
    assert!(!matches!(refused, Ok(Ok(_))), "the log is not made in MESH");
}
