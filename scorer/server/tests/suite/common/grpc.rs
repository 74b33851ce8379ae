//! A served world, over a real connection.

use std::sync::Arc;

use scorer_server::{GrpcSettings, Routes, serve_grpc};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};

use super::World;

/// Serves the world, routes too.
pub(crate) async fn serve(world: &World) -> Channel {
    let writers = vec![Arc::clone(&world.store) as _];
    let (routes, writing) = Routes::new(&world.scorer, "default".to_owned(), writers);
    tokio::spawn(writing.run(world.stop.clone()));
    serve_with(world, routes).await
}

pub(crate) async fn serve_with(world: &World, routes: Arc<Routes>) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (scorer, stores) = (
        Arc::clone(&world.scorer),
        vec![Arc::clone(&world.store) as _],
    );
    let settings = GrpcSettings::default();
    tokio::spawn(serve_grpc(
        listener,
        scorer,
        stores,
        routes,
        settings,
        world.stop.clone(),
    ));
    let uri = format!("http://{address}");
    Endpoint::from_shared(uri)
        .expect("valid")
        .connect()
        .await
        .expect("the server listens")
}
