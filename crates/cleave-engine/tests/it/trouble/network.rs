//! A network that says nothing any more while the tool holds the fence: the servers end the pause by themselves.

use super::servers::{held_at, verified};
use super::stage::{House, LIMIT, switched};
use cleave_testkit::Proxy;

#[tokio::test]
async fn writers_go_on_when_the_tool_is_out_of_reach_while_it_holds_the_fence() {
    let house = House::new("black_hole").await;
    let address = ([127, 0, 0, 1], house.m.cluster().port()).into();
    let proxy = Proxy::start(address).await.unwrap();
    let far = proxy.url(&house.m.url()).unwrap();
    let stage = house
        .stage
        .with(&format!("{:?}", house.m.url()), &format!("{far:?}"))
        .with("write_pause = \"3s\"", "write_pause = \"1500ms\"");
    stage.apply().await.unwrap();
    verified(&stage).await;
    let workload = house.stage.writers().await;
    assert!(workload.wait_for(20, LIMIT).await);
    let meanwhile = async {
        proxy.black_hole();
        // The tool hears nothing and can say nothing; still the writers' locks come free.
        assert!(workload.wait_for(50, LIMIT).await, "writers wait for a tool that is gone");
        proxy.heal();
    };
    let result = held_at("cutover.fence.after", stage.cutover(), meanwhile).await;
    assert_eq!(
        super::stage::aborted(result),
        "the write pause reached its budget: step marker was running when the write pause reached its budget of 1500 ms"
    );
    assert_eq!(house.stage.home().await, "monolith");
    assert!(workload.wait_for(20, LIMIT).await);
    switched(stage.cutover().await);
    assert!(workload.wait_for(20, LIMIT).await);
    let record = workload.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
    house.stage.check(&record, true).await;
}
