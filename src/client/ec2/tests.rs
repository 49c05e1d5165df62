//! The client of EC2: what is sent, what is read, and what a stand-in makes of it.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::{body::SdkBody, error::metadata::ProvideErrorMetadata as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::client::aws::{Aws, Target};

/// A stand-in for EC2 that answers as scripted, the last answer again and again, and keeps what was asked.
async fn scripted(answers: &'static [(u16, &'static str)]) -> (Aws, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let whole = |request: &[u8]| {
                let text = String::from_utf8_lossy(request).into_owned();
                let (head, body) = text.split_once("\r\n\r\n")?;
                let length =
                    head.lines().find_map(|it| it.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                (body.len() >= length.unwrap_or(0)).then(|| body.to_owned())
            };
            let body = loop {
                match whole(&request) {
                    Some(it) => break it,
                    None if stream.read_buf(&mut request).await.expect("a request") == 0 => break String::new(),
                    None => (),
                }
            };
            let (status, text) = {
                let mut heard = heard.lock().expect("not poisoned");
                heard.push(body);
                answers[(heard.len() - 1).min(answers.len() - 1)]
            };
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}", text.len());
            stream.write_all(format!("{head}\r\n\r\n{text}").as_bytes()).await.ok();
        }
    });
    let keys = Some(("a".to_owned(), "b".to_owned()));
    (Aws::connect(&Target { region: "eu-central-1".into(), endpoint: Some(endpoint), keys }).await, asked)
}

#[test]
fn lists_tags_and_permissions_are_numbered() {
    let tags = BTreeMap::from([("a".to_owned(), "1 2".to_owned())]);
    let form = Form::new().list("SubnetId", ["subnet-1", "subnet-2"]).tagged("subnet", &tags);
    let sent = form.encode("CreateSubnet");
    assert_eq!(
        sent,
        "Action=CreateSubnet&Version=2016-11-15&SubnetId.1=subnet-1&SubnetId.2=subnet-2\
         &TagSpecification.1.ResourceType=subnet&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=1+2"
    );
    let rule = Permission {
        ip_protocol: "tcp".into(),
        from_port: Some(443),
        to_port: Some(443),
        prefix_list_ids: Items { item: vec![shape::PrefixListId { prefix_list_id: "pl-1".into() }] },
        ..Permission::default()
    };
    assert_eq!(
        Form::new().permissions([&rule]).encode("X"),
        "Action=X&Version=2016-11-15&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=443\
         &IpPermissions.1.ToPort=443&IpPermissions.1.PrefixListIds.1.PrefixListId=pl-1"
    );
}

#[test]
fn a_refusal_is_told_in_its_own_words() {
    let text = "<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code><Message>The vpc ID 'vpc-1' does not \
                exist</Message></Error></Errors><RequestID>r</RequestID></Response>";
    let said = |text: &str| {
        let answer = HttpResponse::new(StatusCode::try_from(400).expect("a status"), SdkBody::from(text.to_owned()));
        let err = response(&answer).expect_err("a refusal");
        let meta = err.as_operation_error().expect("the service's own").meta().clone();
        (meta.code().unwrap_or_default().to_owned(), meta.message().unwrap_or_default().to_owned())
    };
    assert_eq!(said(text), ("InvalidVpcID.NotFound".into(), "The vpc ID 'vpc-1' does not exist".into()));
    assert_eq!(said("gone"), (String::new(), "gone".into()));
}

#[test]
fn answers_are_read_with_and_without_what_may_be_left_out() {
    let text = "<DescribeVpcsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n <requestId>r</requestId>\n \
                <vpcSet>\n <item><vpcId>vpc-1</vpcId><state>available</state><cidrBlock>10.0.0.0/16</cidrBlock>\
                <tagSet><item><key>a</key><value>b</value></item><item><key>empty</key><value/></item></tagSet></item>\n\
                <item><vpcId>vpc-2</vpcId></item></vpcSet><nextToken>n</nextToken></DescribeVpcsResponse>";
    let (vpcs, next) = Vpc::items(read("DescribeVpcs", text).expect("readable"));
    assert_eq!((vpcs.len(), next.as_deref()), (2, Some("n")));
    assert_eq!((vpcs[0].cidr_block.as_str(), vpcs[0].tags.item.len()), ("10.0.0.0/16", 2));
    assert_eq!(vpcs[1], Vpc { vpc_id: "vpc-2".into(), ..Vpc::default() });
    let none = "<DescribeVpcsResponse><requestId>r</requestId><vpcSet/></DescribeVpcsResponse>";
    assert_eq!(Vpc::items(read("DescribeVpcs", none).expect("readable")), (Vec::new(), None));
}

#[test]
fn what_was_made_is_found_wherever_it_is_named() {
    let id = |text: &str| read::<shape::Made>("Create", text).expect("readable").id();
    assert_eq!(id("<R><vpc><vpcId>vpc-1</vpcId></vpc></R>").as_deref(), Some("vpc-1"));
    assert_eq!(id("<R><return>true</return><groupId>sg-1</groupId></R>").as_deref(), Some("sg-1"));
    assert_eq!(id("<R><requestId>r</requestId></R>"), None);
    let text = "<DeleteVpcEndpointsResponse><unsuccessful><item><resourceId>vpce-1</resourceId><error>\
                <code>InvalidVpcEndpoint.NotFound</code><message>not there</message></error></item></unsuccessful>\
                </DeleteVpcEndpointsResponse>";
    let done: shape::Done = read("DeleteVpcEndpoints", text).expect("readable");
    assert_eq!(done.refused(), Some(("InvalidVpcEndpoint.NotFound", "not there")));
    let fine: shape::Done = read("DeleteVpcEndpoints", "<R><unsuccessful/></R>").expect("readable");
    assert_eq!(fine.refused(), None);
}

#[tokio::test]
async fn what_would_be_made_twice_is_sent_once() {
    const ADDRESS: &str = "<R><allocationId>eipalloc-1</allocationId></R>";
    const GROUP: &str = "<R><groupId>sg-1</groupId></R>";
    let (aws, asked) = scripted(&[(503, "<Response/>"), (200, ADDRESS)]).await;
    let lost = aws.ec2().create("AllocateAddress", &Form::new().with("Domain", "vpc")).await.expect_err("no answer");
    assert_eq!(lost.reason, Reason::Unavailable, "whoever asked must look");
    assert_eq!(asked.lock().expect("not poisoned").len(), 1);

    let (aws, asked) = scripted(&[(503, "<Response/>"), (200, GROUP)]).await;
    let made = aws.ec2().create("CreateSecurityGroup", &Form::new().with("GroupName", "s-database")).await;
    assert_eq!(made.expect("its name is unique, so it is sent again"), "sg-1");
    assert_eq!(asked.lock().expect("not poisoned").len(), 2);
}

#[tokio::test]
async fn lists_are_read_to_the_end() {
    const FIRST: &str =
        "<R><subnetSet><item><subnetId>subnet-1</subnetId></item></subnetSet><nextToken>t</nextToken></R>";
    const LAST: &str = "<R><subnetSet><item><subnetId>subnet-2</subnetId></item></subnetSet></R>";
    let (aws, asked) = scripted(&[(200, FIRST), (200, LAST)]).await;
    let names = ["s-main".to_owned()];
    let subnets: Vec<Subnet> = aws.ec2().list(&[("tag:ecomctl:network", &names)]).await.expect("listed");
    assert_eq!(subnets.iter().map(|it| it.subnet_id.as_str()).collect::<Vec<_>>(), ["subnet-1", "subnet-2"]);
    let asked = asked.lock().expect("not poisoned").clone();
    assert_eq!(
        asked[0],
        "Action=DescribeSubnets&Version=2016-11-15&Filter.1.Name=tag%3Aecomctl%3Anetwork&Filter.1.Value.1=s-main"
    );
    assert!(asked[1].ends_with("&NextToken=t"), "{asked:?}");
}

#[tokio::test]
async fn what_is_still_in_use_is_busy_and_what_is_gone_is_missing() {
    const USED: &str = "<Response><Errors><Error><Code>DependencyViolation</Code><Message>has a dependent object</Message>\
        </Error></Errors></Response>";
    const GONE: &str = "<Response><Errors><Error><Code>InvalidGroup.NotFound</Code><Message>gone</Message></Error></Errors></Response>";
    let (aws, _) = scripted(&[(400, USED), (400, GONE)]).await;
    let group = Form::new().with("GroupId", "sg-1");
    let used = aws.ec2().run("DeleteSecurityGroup", &group).await.expect_err("refused");
    assert_eq!((used.reason, used.message.as_str()), (Reason::Busy, "DependencyViolation: has a dependent object"));
    let gone = aws.ec2().run("DeleteSecurityGroup", &group).await.expect_err("refused");
    assert_eq!(gone.reason, Reason::Missing);
}
