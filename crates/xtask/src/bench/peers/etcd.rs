//! etcd over gRPC: a key of one's own is put by a transaction that finds it absent, under a lease,
//! the cheapest durable way to take it; a shared one goes through its lock service, which queues.
//!
//! The few messages it takes are written out here: the published definitions need `protoc`.

use std::path::Path;
use std::process::Command;

use devmesh_testkit::nats::free_port;
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::super::load::{Keys, Locker, Series};
use super::super::world::failed;
use super::Measured;
use super::programs::{self, Server};
use super::round::Peer;
use crate::error::{Error, Result};

/// Far above what a load takes; it need not be kept alive.
const TTL_S: i64 = 120;

const GRANT: &str = "/etcdserverpb.Lease/LeaseGrant";
const TXN: &str = "/etcdserverpb.KV/Txn";
const DELETE: &str = "/etcdserverpb.KV/DeleteRange";
const LOCK: &str = "/v3lockpb.Lock/Lock";
const UNLOCK: &str = "/v3lockpb.Lock/Unlock";

// Fields that are not needed are left out: those of answers are skipped, those of requests have
// their defaults. `Compare` by default asks whether the key's target is equal; target 1 is the
// revision that made it, 0 of a key that is not there.

#[derive(Clone, PartialEq, Message)]
struct Grant {
    #[prost(int64, tag = "1")]
    ttl: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Granted {
    #[prost(int64, tag = "2")]
    id: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Compare {
    #[prost(int32, tag = "2")]
    target: i32,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(int64, optional, tag = "5")]
    create_revision: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Put {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(int64, tag = "3")]
    lease: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Operation {
    #[prost(message, optional, tag = "2")]
    put: Option<Put>,
}

#[derive(Clone, PartialEq, Message)]
struct Txn {
    #[prost(message, repeated, tag = "1")]
    compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    success: Vec<Operation>,
}

#[derive(Clone, PartialEq, Message)]
struct TxnDone {
    #[prost(bool, tag = "2")]
    succeeded: bool,
}

/// `DeleteRange` and `Unlock` alike: a key.
#[derive(Clone, PartialEq, Message)]
struct OfKey {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Deleted {
    #[prost(int64, tag = "2")]
    deleted: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Lock {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
    #[prost(int64, tag = "2")]
    lease: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Locked {
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Unlocked {}

pub(super) struct Etcd {
    server: Server,
    url: String,
    version: String,
}

impl Etcd {
    pub(super) async fn start(program: &Path) -> Result<Etcd> {
        let version = programs::version(program)?;
        let folder = programs::folder("etcd")?;
        let url = format!("http://127.0.0.1:{}", free_port());
        let peers = format!("http://127.0.0.1:{}", free_port());
        let mut command = Command::new(program);
        command.args(["--name", "bench", "--log-level", "error", "--data-dir"]);
        command.arg(folder.path());
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &format!("bench={peers}")]);
        let mut server = Server::start(command, folder)?;
        server.ready(async || Holder::connect(&url, Keys::Own).await).await?;
        Ok(Etcd { server, url, version })
    }

    pub(super) fn measured(&self) -> Measured {
        let means = "on disk: each batch of raft's log is fsynced before it is applied (a group of \
            one); waiters queue at its lock service; the key's revision rises";
        Measured {
            name: format!("etcd {}", self.version),
            means: means.to_owned(),
            series: Series::default(),
        }
    }

    pub(super) async fn stop(self) {
        self.server.stop().await;
    }
}

impl Peer for Etcd {
    type Client = Holder;

    async fn client(&self, _: usize, keys: Keys) -> Result<Holder> {
        Holder::connect(&self.url, keys).await
    }
}

pub(super) struct Holder {
    grpc: Grpc<Channel>,
    keys: Keys,
    lease: i64,
    key: Vec<u8>,
}

impl Holder {
    async fn connect(url: &str, keys: Keys) -> Result<Holder> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(failed("name etcd"))?;
        let channel = endpoint.tcp_nodelay(true).connect().await;
        let grpc = Grpc::new(channel.map_err(failed("connect to etcd"))?);
        let mut holder = Holder { grpc, keys, lease: 0, key: Vec::new() };
        let granted: Granted = holder.ask(GRANT, Grant { ttl: TTL_S }).await?;
        holder.lease = granted.id;
        Ok(holder)
    }

    async fn ask<Q, A>(&mut self, path: &'static str, request: Q) -> Result<A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.grpc.ready().await.map_err(failed("ask etcd"))?;
        let codec = ProstCodec::<Q, A>::default();
        let path = PathAndQuery::from_static(path);
        let answer = self.grpc.unary(tonic::Request::new(request), path, codec).await;
        Ok(answer.map_err(|status| -> Error { failed("ask etcd")(status) })?.into_inner())
    }
}

impl Locker for Holder {
    async fn take(&mut self, key: &str) -> Result<()> {
        if self.keys == Keys::One {
            let lock = Lock { name: key.into(), lease: self.lease };
            self.key = self.ask::<_, Locked>(LOCK, lock).await?.key;
            return Ok(());
        }
        self.key = key.into();
        let absent = Compare { target: 1, key: self.key.clone(), create_revision: Some(0) };
        let put = Put { key: self.key.clone(), lease: self.lease };
        let success = vec![Operation { put: Some(put) }];
        let txn = Txn { compare: vec![absent], success };
        if self.ask::<_, TxnDone>(TXN, txn).await?.succeeded {
            Ok(())
        } else {
            Err(failed("take a key of etcd")(key.to_owned()))
        }
    }

    async fn give(&mut self) -> Result<()> {
        let key = std::mem::take(&mut self.key);
        if self.keys == Keys::One {
            self.ask::<_, Unlocked>(UNLOCK, OfKey { key }).await?;
            return Ok(());
        }
        match self.ask::<_, Deleted>(DELETE, OfKey { key }).await?.deleted {
            1 => Ok(()),
            deleted => Err(failed("give back a key of etcd")(format!("{deleted} deleted"))),
        }
    }
}
