//! Apache Kafka for tests: real brokers in KRaft mode, each a `java` of its own.
//!
//! `TEST_KAFKA_LIB` names a folder with the jars of `org.apache.kafka:kafka_2.13` and what they
//! need; `deploy/kafka-test/pom.xml` gathers them:
//! `mvn -f deploy/kafka-test/pom.xml dependency:copy-dependencies -DoutputDirectory=$PWD/target/kafka`.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a broker may take to answer.
const START_MAX: Duration = Duration::from_secs(120);

/// Where the jars are; says aloud that the test is skipped where they are not.
pub(crate) fn jars() -> Option<PathBuf> {
    let found = std::env::var_os("TEST_KAFKA_LIB").map(PathBuf::from).filter(|dir| dir.is_dir());
    if found.is_none() {
        eprintln!(
            "skipped: no Apache Kafka; `mvn -f deploy/kafka-test/pom.xml \
             dependency:copy-dependencies -DoutputDirectory=$PWD/target/kafka`, then set \
             TEST_KAFKA_LIB to that folder (needs Java 17)"
        );
    }
    found
}

/// A cluster that ends with the value.
pub(crate) struct Cluster {
    dir: TempDir,
    jars: PathBuf,
    brokers: Vec<Broker>,
}

struct Broker {
    port: u16,
    process: Option<Child>,
}

impl Cluster {
    /// Starts `count` brokers, each a controller too.
    pub(crate) fn start(jars: &Path, count: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("log4j.properties"), LOG4J).unwrap();
        let ports: Vec<(u16, u16)> = (0..count).map(|_| (free_port(), free_port())).collect();
        let voters: Vec<String> = ports
            .iter()
            .enumerate()
            .map(|(at, (_, controller))| format!("{}@127.0.0.1:{controller}", at + 1))
            .collect();
        let cluster_id = "anRTaGFyZWRUZXN0QnVzQQ";
        let copies = count.min(3);
        for (at, (port, controller)) in ports.iter().enumerate() {
            let node = at + 1;
            let home = dir.path().join(node.to_string());
            fs::create_dir(&home).unwrap();
            let properties = format!(
                "process.roles=broker,controller\nnode.id={node}\n\
                 listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
                 controller.listener.names=CONTROLLER\n\
                 listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
                 controller.quorum.voters={}\nlog.dirs={}\n\
                 offsets.topic.replication.factor={copies}\noffsets.topic.num.partitions=3\n\
                 transaction.state.log.replication.factor={copies}\n\
                 transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n\
                 group.min.session.timeout.ms=1000\nauto.create.topics.enable=false\n\
                 broker.session.timeout.ms=6000\nnum.network.threads=1\nnum.io.threads=2\n",
                voters.join(","),
                home.join("data").display(),
            );
            fs::write(home.join("server.properties"), properties).unwrap();
            let format = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"];
            let status = java(jars, dir.path())
                .args(format)
                .arg(home.join("server.properties"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            assert!(status.expect("java starts").success(), "formatting the broker's storage");
        }
        let brokers = ports.iter().map(|(port, _)| Broker { port: *port, process: None });
        let mut cluster = Self { brokers: brokers.collect(), jars: jars.to_owned(), dir };
        for broker in 0..count {
            cluster.spawn(broker);
        }
        for broker in 0..count {
            cluster.wait_for(broker);
        }
        cluster
    }

    /// `host:port` of all.
    pub(crate) fn addresses(&self) -> String {
        let all = self.brokers.iter().map(|broker| format!("127.0.0.1:{}", broker.port));
        all.collect::<Vec<_>>().join(",")
    }

    /// Starts a broker that was killed.
    pub(crate) fn restart(&mut self, broker: usize) {
        self.spawn(broker);
        self.wait_for(broker);
    }

    /// Kills a broker as a power cut would.
    pub(crate) fn kill(&mut self, broker: usize) {
        if let Some(mut process) = self.brokers[broker].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Sends a broker a signal, e.g. `STOP` and `CONT`.
    pub(crate) fn signal(&self, broker: usize, signal: &str) {
        if let Some(process) = &self.brokers[broker].process {
            let pid = process.id().to_string();
            let status = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
            assert!(status.unwrap().success());
        }
    }

    fn spawn(&mut self, broker: usize) {
        let home = self.dir.path().join((broker + 1).to_string());
        let log = fs::File::create(home.join("log")).unwrap();
        let process = java(&self.jars, self.dir.path())
            .arg("kafka.Kafka")
            .arg(home.join("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.brokers[broker].process = Some(process.expect("java starts"));
    }

    fn wait_for(&mut self, broker: usize) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.brokers[broker].port)).is_err() {
            let process = self.brokers[broker].process.as_mut().unwrap();
            let ended = process.try_wait().unwrap();
            if ended.is_some() || began.elapsed() > START_MAX {
                let log = self.dir.path().join((broker + 1).to_string()).join("log");
                panic!("no broker: {}", fs::read_to_string(log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for broker in 0..self.brokers.len() {
            self.kill(broker);
        }
    }
}

fn java(jars: &Path, dir: &Path) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg(format!("-Dlog4j.configuration=file:{}", dir.join("log4j.properties").display()))
        .arg("-cp")
        .arg(jars.join("*"));
    command
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

const LOG4J: &str = "log4j.rootLogger=WARN, out\n\
    log4j.appender.out=org.apache.log4j.ConsoleAppender\n\
    log4j.appender.out.layout=org.apache.log4j.PatternLayout\n\
    log4j.appender.out.layout.ConversionPattern=%d %p %c %m%n\n";
