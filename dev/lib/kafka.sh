# shellcheck shell=bash
# Sourced by dev/lib/bootstrap.sh: gets Apache Kafka, for BUS=kafka.

# Not 4: Filebeat 7.17 reads with the protocol of its time (JoinGroup version 1),
# which Kafka 4 has dropped (KIP-896).
readonly KAFKA_RELEASE=3.9.1
# Of the list of all its jars with their sums.
readonly KAFKA_SHA256=b3b7bf1437a17128e976956ed81436976a32d68f712cf18f518710b215e8b4ee
readonly KAFKA_DIR=$PHAROS_CACHE/kafka-$KAFKA_RELEASE

# The broker and what it needs, from Maven: the archive of the project's own
# site cannot be had from a package registry. Its own local repository, because
# nothing else needs the jars there.
fetch_kafka() {
	local scratch=$PHAROS_CACHE/.tmp/kafka
	mkdir -p "$scratch"
	cat >"$scratch/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>pharos</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$KAFKA_RELEASE</version>
    </dependency>
    <!-- Without it Kafka logs nothing. -->
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
XML
	mvn -B -q -f "$scratch/pom.xml" -Dmaven.repo.local="$scratch/m2" \
		org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory="$scratch/libs"
	(cd "$scratch/libs" && LC_ALL=C sha256sum -- *.jar) >"$scratch/jars"
	echo "$KAFKA_SHA256  $scratch/jars" | sha256sum -c -
	mv "$scratch/libs" "$KAFKA_DIR"
}
