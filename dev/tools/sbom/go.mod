module pharos/dev/tools/sbom

go 1.26

require (
	github.com/CycloneDX/cyclonedx-go v0.9.2
	github.com/google/licensecheck v0.3.1
)
