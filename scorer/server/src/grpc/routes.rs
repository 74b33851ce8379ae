//! `kvatlas.v1.Routes`.

use std::sync::Arc;

use proto_api::v1::routes_server::Routes as RoutesRpc;
use proto_api::v1::{
    RecordRouteRequest, RecordRouteResponse, RemoveEndpointRequest, RemoveEndpointResponse,
};
use tonic::{Request, Response, Status};

use super::timeout;
use crate::routes::Routes;

/// The service.
#[derive(Debug, Clone)]
pub(super) struct RouteService {
    routes: Arc<Routes>,
}

impl RouteService {
    pub(super) fn new(routes: Arc<Routes>) -> Self {
        Self { routes }
    }
}

#[tonic::async_trait]
impl RoutesRpc for RouteService {
    async fn record(
        &self,
        request: Request<RecordRouteRequest>,
    ) -> Result<Response<RecordRouteResponse>, Status> {
        let timeout = timeout::of(request.metadata());
        let route = request.into_inner().try_into();
        let revision = self.routes.record(route, timeout).await?.0;
        Ok(Response::new(RecordRouteResponse { revision }))
    }

    async fn remove_endpoint(
        &self,
        request: Request<RemoveEndpointRequest>,
    ) -> Result<Response<RemoveEndpointResponse>, Status> {
        let timeout = timeout::of(request.metadata());
        let removed = request.into_inner().try_into();
        let revision = self.routes.remove(removed, timeout).await?.0;
        Ok(Response::new(RemoveEndpointResponse { revision }))
    }
}
