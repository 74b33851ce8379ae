//! Serves [`StoreAdmin`].

use std::sync::Arc;

use proto_api::v1::store_admin_server::StoreAdmin;
use proto_api::v1::{
    InitialiseStoreRequest, JoinStoreRequest, StoreAdminReply, StoreNodeRequest, StoreStatus,
    StoreStatusRequest,
};
use tonic::{Request, Response, Status};

use crate::membership::Changed;
use crate::node::Node;

pub(crate) struct AdminService {
    node: Arc<Node>,
}

impl AdminService {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

fn reply(changed: Changed) -> Response<StoreAdminReply> {
    Response::new(StoreAdminReply {
        refusal: changed.err(),
    })
}

#[tonic::async_trait]
impl StoreAdmin for AdminService {
    async fn initialise(
        &self,
        request: Request<InitialiseStoreRequest>,
    ) -> Result<Response<StoreAdminReply>, Status> {
        let members = request.into_inner().members;
        Ok(reply(self.node.initialise(members).await))
    }

    async fn join(
        &self,
        request: Request<JoinStoreRequest>,
    ) -> Result<Response<StoreAdminReply>, Status> {
        let member = request.into_inner().member.unwrap_or_default();
        Ok(reply(self.node.join(member).await))
    }

    async fn promote(
        &self,
        request: Request<StoreNodeRequest>,
    ) -> Result<Response<StoreAdminReply>, Status> {
        let id = request.into_inner().node_id;
        Ok(reply(self.node.promote(id).await))
    }

    async fn remove(
        &self,
        request: Request<StoreNodeRequest>,
    ) -> Result<Response<StoreAdminReply>, Status> {
        let id = request.into_inner().node_id;
        Ok(reply(self.node.remove(id).await))
    }

    async fn status(
        &self,
        _: Request<StoreStatusRequest>,
    ) -> Result<Response<StoreStatus>, Status> {
        Ok(Response::new(self.node.cluster_status().await))
    }
}
