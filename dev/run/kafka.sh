#!/bin/sh
# Apache Kafka, broker and controller in one process: the bus, with BUS=kafka.
. "$(dirname "$0")/lib.sh"

# A folder that a newer Kafka has written (data/kafka was 4.1's) cannot be opened.
data=$PHAROS_STATE/data/kafka-3.9
run=$PHAROS_STATE/run/kafka
mkdir -p "$run"

# One node: nothing can be replicated. The shop's topics are made by who uses them,
# with their settings, Filebeat's by its first line; both listeners ask for the password, since every user of this
# machine can reach loopback.
# In quotes: what begins with a digit is a number to JAAS, and refused.
login="org.apache.kafka.common.security.plain.PlainLoginModule required username=\"pharos\" password=\"$KAFKA_PASSWORD\" user_pharos=\"$KAFKA_PASSWORD\";"
cat >"$run/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$KAFKA_CONTROLLER_PORT
listeners=CLIENT://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$KAFKA_CONTROLLER_PORT
advertised.listeners=CLIENT://127.0.0.1:$KAFKA_PORT
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
listener.name.client.plain.sasl.jaas.config=$login
listener.name.controller.plain.sasl.jaas.config=$login
log.dirs=$data
auto.create.topics.enable=true
num.partitions=4
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES

# To standard output only: the supervisor keeps and rotates it.
cat >"$run/log4j2.properties" <<'PROPERTIES'
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
PROPERTIES

kafka() {
	class=$1
	shift
	set -- "$PHAROS_JAVA_HOME/bin/java" "-Xms$KAFKA_HEAP" "-Xmx$KAFKA_HEAP" \
		"-Dlog4j2.configurationFile=$run/log4j2.properties" \
		-cp "$PHAROS_KAFKA/*" "$class" "$@"
	if [ "$class" = kafka.Kafka ]; then exec "$@"; fi
	"$@"
}

# Does nothing where the folder is formatted already. The id only has to be 22
# characters of URL-safe base64, and the same at each start.
kafka kafka.tools.StorageTool format --ignore-formatted -t pharosPharosPharosAAAA \
	-c "$run/server.properties" >/dev/null
kafka kafka.Kafka "$run/server.properties"
