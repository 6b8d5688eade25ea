//! Which ECS fields the console's values fill.

use event::fields as f;

use crate::formats::{
    mapping::{Account, Op::*, Table, USER},
    sheet::Sheet,
    text,
};

/// The agent's part of threats and alerts.
pub(super) const AGENT: Table = &[
    ("agentRealtimeInfo.agentId", &[Text(f::AGENT_ID)]),
    ("agentRealtimeInfo.id", &[Text(f::AGENT_ID)]),
    ("agentRealtimeInfo.agentComputerName", &[Text(f::HOST_NAME)]),
    ("agentRealtimeInfo.name", &[Text(f::HOST_NAME)]),
    ("agentRealtimeInfo.agentOsType", &[Text(f::HOST_OS_FAMILY), With(os_type)]),
    ("agentRealtimeInfo.os", &[Text(f::HOST_OS_FAMILY), With(os_type)]),
    ("agentRealtimeInfo.agentOsName", &[Text(f::HOST_OS_NAME)]),
    ("agentRealtimeInfo.agentMachineType", &[Text(f::HOST_TYPE)]),
    ("agentRealtimeInfo.machineType", &[Text(f::HOST_TYPE)]),
    ("agentRealtimeInfo.networkInterfaces.physical", &[With(mac)]),
    ("agentDetectionInfo.agentDomain", &[Text(f::HOST_DOMAIN)]),
    ("agentDetectionInfo.agentIpV4", &[With(addresses)]),
    ("agentDetectionInfo.agentIpV6", &[With(addresses)]),
    ("agentDetectionInfo.externalIp", &[With(addresses)]),
    ("agentDetectionInfo.agentOsName", &[Text(f::HOST_OS_NAME)]),
    ("agentDetectionInfo.osName", &[Text(f::HOST_OS_NAME)]),
    ("agentDetectionInfo.agentOsRevision", &[Text(f::HOST_OS_VERSION)]),
    ("agentDetectionInfo.osRevision", &[Text(f::HOST_OS_VERSION)]),
    ("agentDetectionInfo.osFamily", &[Text(f::HOST_OS_FAMILY), With(os_type)]),
    ("agentDetectionInfo.name", &[Text(f::HOST_NAME)]),
    ("agentDetectionInfo.machineType", &[Text(f::HOST_TYPE)]),
    ("agentDetectionInfo.agentVersion", &[Text(f::AGENT_VERSION)]),
    ("agentDetectionInfo.version", &[Text(f::AGENT_VERSION)]),
    ("agentDetectionInfo.accountName", &[Text(f::ORGANIZATION_NAME)]),
    ("agentDetectionInfo.cloudProviders.AWS.cloudInstanceId", &[Text(f::CLOUD_INSTANCE_ID)]),
    ("agentDetectionInfo.cloudProviders.Azure.cloudInstanceId", &[Text(f::CLOUD_INSTANCE_ID)]),
    ("agentDetectionInfo.cloudProviders.GCP.cloudInstanceId", &[Text(f::CLOUD_INSTANCE_ID)]),
    ("containerInfo.id", &[Text(f::CONTAINER_ID)]),
    ("containerInfo.name", &[Text(f::CONTAINER_NAME)]),
    ("containerInfo.image", &[Text(f::CONTAINER_IMAGE_NAME)]),
];

/// A threat's own part.
pub(super) const THREAT: Table = &[
    ("threatInfo.threatName", &[Text(f::THREAT_SOFTWARE_NAME), Text(f::FILE_NAME)]),
    ("threatInfo.classification", &[Text(f::THREAT_SOFTWARE_TYPE), Text(f::RULE_CATEGORY)]),
    (
        "threatInfo.confidenceLevel",
        &[Text(f::THREAT_INDICATOR_CONFIDENCE), Text(f::SENTINELONE_THREAT_CONFIDENCE_LEVEL)],
    ),
    ("threatInfo.mitigationStatus", &[Text(f::SENTINELONE_THREAT_MITIGATION_STATUS)]),
    ("threatInfo.analystVerdict", &[Text(f::SENTINELONE_THREAT_ANALYST_VERDICT)]),
    ("threatInfo.identifiedAt", &[Time(f::THREAT_ENRICHMENTS_MATCHED_OCCURRED)]),
    ("threatInfo.createdAt", &[Time(f::THREAT_INDICATOR_FILE_CREATED)]),
    (
        "threatInfo.certificateId",
        &[
            Text(f::THREAT_INDICATOR_FILE_CODE_SIGNATURE_SIGNING_ID),
            Text(f::FILE_CODE_SIGNATURE_SUBJECT_NAME),
        ],
    ),
    ("threatInfo.fileVerificationType", &[Text(f::FILE_CODE_SIGNATURE_STATUS)]),
    ("threatInfo.filePath", &[Text(f::FILE_PATH)]),
    ("threatInfo.fileExtension", &[Lower(f::FILE_EXTENSION)]),
    ("threatInfo.fileSize", &[Whole(f::FILE_SIZE), Whole(f::THREAT_INDICATOR_FILE_SIZE)]),
    ("threatInfo.md5", &[Lower(f::FILE_HASH_MD5)]),
    ("threatInfo.sha1", &[Lower(f::FILE_HASH_SHA1)]),
    ("threatInfo.sha256", &[Lower(f::FILE_HASH_SHA256)]),
    ("threatInfo.originatorProcess", &[Text(f::PROCESS_PARENT_NAME)]),
    ("threatInfo.maliciousProcessArguments", &[Text(f::PROCESS_COMMAND_LINE)]),
    ("threatInfo.processUser", &[With(process_user)]),
    ("indicators.tactics.name", &[With(tactic)]),
    ("indicators.tactics.techniques.name", &[With(technique)]),
    ("indicators.tactics.techniques.link", &[With(reference)]),
];

const PROCESS_ACCOUNT: Account =
    Account { name: f::PROCESS_USER_NAME, domain: Some(f::PROCESS_USER_DOMAIN), full: None };

/// An activity. Its `data` has names of its own for each type; those of custom rules are in
/// lower case.
pub(super) const ACTIVITY: Table = &[
    ("activityType", &[Text(f::EVENT_CODE)]),
    ("primaryDescription", &[Text(f::EVENT_REASON), Text(f::MESSAGE)]),
    ("agentId", &[Text(f::AGENT_ID)]),
    ("groupId", &[Text(f::GROUP_ID)]),
    ("userId", &[Text(f::USER_ID)]),
    ("hash", &[Digest(&super::super::mapping::FILE_HASH)]),
    ("data.computerName", &[Text(f::HOST_NAME)]),
    ("data.origagentname", &[Text(f::HOST_NAME)]),
    ("data.origagentosfamily", &[Text(f::HOST_OS_FAMILY), With(os_type)]),
    ("data.origagentosname", &[Text(f::HOST_OS_NAME)]),
    ("data.origagentosrevision", &[Text(f::HOST_OS_VERSION)]),
    ("data.origagentmachinetype", &[Text(f::HOST_TYPE)]),
    ("data.origagentversion", &[Text(f::AGENT_VERSION)]),
    ("data.osFamily", &[Text(f::HOST_OS_FAMILY), With(os_type)]),
    ("data.osType", &[With(os_type)]),
    ("data.externalIp", &[With(addresses)]),
    ("data.agentipv4", &[With(addresses)]),
    ("data.physical", &[With(mac)]),
    ("data.username", &[Text(f::USER_NAME)]),
    ("data.lastLoggedInUserName", &[Text(f::USER_NAME)]),
    ("data.email", &[Text(f::USER_EMAIL)]),
    ("data.role", &[Text(f::USER_ROLES)]),
    ("data.ipAddress", &[Ip(f::SOURCE_IP)]),
    ("data.source_ip", &[Ip(f::SOURCE_IP)]),
    ("data.filePath", &[File]),
    ("data.fileDisplayName", &[Text(f::FILE_NAME)]),
    ("data.fileContentHash", &[Digest(&super::super::mapping::FILE_HASH)]),
    ("data.threatClassification", &[Text(f::THREAT_SOFTWARE_TYPE), Text(f::RULE_CATEGORY)]),
    ("data.confidenceLevel", &[Text(f::SENTINELONE_THREAT_CONFIDENCE_LEVEL)]),
    ("data.downloadUrl", &[Text(f::URL_ORIGINAL), Text(f::URL_PATH)]),
    ("data.escapedMaliciousProcessArguments", &[Text(f::PROCESS_COMMAND_LINE)]),
    ("data.ruleId", &[Text(f::RULE_ID)]),
    ("data.ruleName", &[Text(f::RULE_NAME)]),
    ("data.ruleDescription", &[Text(f::RULE_DESCRIPTION)]),
    ("data.ruleid", &[Text(f::RULE_ID)]),
    ("data.rulename", &[Text(f::RULE_NAME)]),
    ("data.ruledescription", &[Text(f::RULE_DESCRIPTION)]),
    ("data.reportedDirection", &[Text(f::NETWORK_DIRECTION)]),
    ("data.reportedProtocol", &[Lower(f::NETWORK_TRANSPORT)]),
    ("data.reportedLocalHost", &[Ip(f::SOURCE_IP)]),
    ("data.reportedLocalPort", &[Port(f::SOURCE_PORT)]),
    ("data.reportedRemoteHost", &[Host { ip: f::DESTINATION_IP, domain: f::DESTINATION_DOMAIN }]),
    ("data.reportedRemotePort", &[Port(f::DESTINATION_PORT)]),
    ("data.processName", &[Text(f::PROCESS_NAME)]),
    ("data.sourceprocessname", &[Text(f::PROCESS_NAME)]),
    ("data.sourceprocessfilepath", &[Text(f::PROCESS_EXECUTABLE)]),
    ("data.sourceprocesscommandline", &[Text(f::PROCESS_COMMAND_LINE)]),
    ("data.sourceprocesspid", &[Pid(f::PROCESS_PID)]),
    ("data.sourceprocesskey", &[Text(f::PROCESS_ENTITY_ID)]),
    ("data.sourceprocessstarttime", &[Time(f::PROCESS_START)]),
    ("data.sourceprocessintegritylevel", &[Text(f::PROCESS_INTEGRITY_LEVEL)]),
    ("data.sourceprocessfilesigneridentity", &[Text(f::PROCESS_CODE_SIGNATURE_SUBJECT_NAME)]),
    ("data.sourceprocessmd5", &[Lower(f::PROCESS_HASH_MD5)]),
    ("data.sourceprocesssha1", &[Lower(f::PROCESS_HASH_SHA1)]),
    ("data.sourceprocesssha256", &[Lower(f::PROCESS_HASH_SHA256)]),
    ("data.sourceprocessusername", &[Account(&PROCESS_ACCOUNT), Account(&USER)]),
    ("data.sourceparentprocessname", &[Text(f::PROCESS_PARENT_NAME)]),
    ("data.sourceparentprocesspath", &[Text(f::PROCESS_PARENT_EXECUTABLE)]),
    ("data.sourceparentprocesscommandline", &[Text(f::PROCESS_PARENT_COMMAND_LINE)]),
    ("data.sourceparentprocesspid", &[Pid(f::PROCESS_PARENT_PID)]),
    ("data.sourceparentprocesskey", &[Text(f::PROCESS_PARENT_ENTITY_ID)]),
    ("data.sourceparentprocessstarttime", &[Time(f::PROCESS_PARENT_START)]),
    (
        "data.sourceparentprocesssigneridentity",
        &[Text(f::PROCESS_PARENT_CODE_SIGNATURE_SUBJECT_NAME)],
    ),
    ("data.sourceparentprocessmd5", &[Lower(f::PROCESS_PARENT_HASH_MD5)]),
    ("data.sourceparentprocesssha1", &[Lower(f::PROCESS_PARENT_HASH_SHA1)]),
    ("data.sourceparentprocesssha256", &[Lower(f::PROCESS_PARENT_HASH_SHA256)]),
    ("data.sourceparentprocessusername", &[Text(f::PROCESS_PARENT_USER_NAME)]),
    ("data.tgtfilepath", &[File]),
    ("data.tgtfileoldpath", &[Text(f::FILE_EXT_ORIGINAL_PATH)]),
    ("data.tgtfilehashsha1", &[Lower(f::FILE_HASH_SHA1)]),
    ("data.tgtfilehashsha256", &[Lower(f::FILE_HASH_SHA256)]),
    ("data.tgtfilecreatedat", &[Time(f::FILE_CREATED)]),
    ("data.tgtfilemodifiedat", &[Time(f::FILE_MTIME)]),
    ("data.modulepath", &[Path { path: f::DLL_PATH, name: f::DLL_NAME }]),
    ("data.modulesha1", &[Lower(f::DLL_HASH_SHA1)]),
    ("data.registrypath", &[With(registry)]),
    ("data.srcip", &[Ip(f::SOURCE_IP)]),
    ("data.srcport", &[Port(f::SOURCE_PORT)]),
    ("data.dstip", &[Ip(f::DESTINATION_IP)]),
    ("data.dstport", &[Port(f::DESTINATION_PORT)]),
    ("data.neteventdirection", &[Lower(f::NETWORK_DIRECTION)]),
    ("data.dnsrequest", &[Text(f::DNS_QUESTION_NAME)]),
    ("data.loginsusername", &[Text(f::USER_TARGET_NAME)]),
];

/// An endpoint, as the agents API lists it.
pub(super) const ENDPOINT: Table = &[
    ("id", &[Text(f::AGENT_ID)]),
    ("uuid", &[Text(f::HOST_ID)]),
    ("computerName", &[Text(f::HOST_NAME)]),
    ("domain", &[Text(f::HOST_DOMAIN)]),
    ("machineType", &[Text(f::HOST_TYPE)]),
    ("osType", &[Text(f::HOST_OS_FAMILY), With(os_type)]),
    ("osName", &[Text(f::HOST_OS_NAME)]),
    ("osRevision", &[Text(f::HOST_OS_VERSION)]),
    ("osArch", &[Text(f::HOST_ARCHITECTURE)]),
    ("agentVersion", &[Text(f::AGENT_VERSION)]),
    ("lastLoggedInUserName", &[Text(f::USER_NAME)]),
    ("externalIp", &[With(addresses)]),
    ("networkInterfaces.inet", &[With(addresses)]),
    ("networkInterfaces.inet6", &[With(addresses)]),
    ("networkInterfaces.physical", &[With(mac)]),
    ("groupId", &[Text(f::GROUP_ID)]),
    ("groupName", &[Text(f::GROUP_NAME)]),
    ("accountName", &[Text(f::ORGANIZATION_NAME)]),
];

/// An alert of a custom rule, as the alerts API lists it.
pub(super) const ALERT: Table = &[
    ("ruleInfo.id", &[Text(f::RULE_ID)]),
    ("ruleInfo.name", &[Text(f::RULE_NAME)]),
    ("ruleInfo.description", &[Text(f::RULE_DESCRIPTION)]),
    ("ruleInfo.treatAsThreat", &[Text(f::RULE_CATEGORY)]),
    ("alertInfo.eventType", &[Text(f::EVENT_ACTION)]),
    ("alertInfo.analystVerdict", &[Text(f::SENTINELONE_THREAT_ANALYST_VERDICT)]),
    ("alertInfo.srcIp", &[Ip(f::SOURCE_IP)]),
    ("alertInfo.srcPort", &[Port(f::SOURCE_PORT)]),
    ("alertInfo.dstIp", &[Ip(f::DESTINATION_IP)]),
    ("alertInfo.dstPort", &[Port(f::DESTINATION_PORT)]),
    ("alertInfo.netEventDirection", &[Lower(f::NETWORK_DIRECTION)]),
    ("alertInfo.dnsRequest", &[Text(f::DNS_QUESTION_NAME)]),
    ("alertInfo.modulePath", &[Path { path: f::DLL_PATH, name: f::DLL_NAME }]),
    ("alertInfo.moduleSha1", &[Lower(f::DLL_HASH_SHA1)]),
    ("alertInfo.registryPath", &[With(registry)]),
    ("alertInfo.loginsUserName", &[Text(f::USER_TARGET_NAME)]),
    ("sourceProcessInfo.name", &[Text(f::PROCESS_NAME)]),
    ("sourceProcessInfo.filePath", &[Text(f::PROCESS_EXECUTABLE)]),
    ("sourceProcessInfo.commandline", &[Text(f::PROCESS_COMMAND_LINE)]),
    ("sourceProcessInfo.pid", &[Pid(f::PROCESS_PID)]),
    ("sourceProcessInfo.uniqueId", &[Text(f::PROCESS_ENTITY_ID)]),
    ("sourceProcessInfo.pidStarttime", &[Time(f::PROCESS_START)]),
    ("sourceProcessInfo.integrityLevel", &[Text(f::PROCESS_INTEGRITY_LEVEL)]),
    ("sourceProcessInfo.fileSignerIdentity", &[Text(f::PROCESS_CODE_SIGNATURE_SUBJECT_NAME)]),
    ("sourceProcessInfo.fileHashMd5", &[Lower(f::PROCESS_HASH_MD5)]),
    ("sourceProcessInfo.fileHashSha1", &[Lower(f::PROCESS_HASH_SHA1)]),
    ("sourceProcessInfo.fileHashSha256", &[Lower(f::PROCESS_HASH_SHA256)]),
    ("sourceProcessInfo.user", &[Account(&PROCESS_ACCOUNT), Account(&USER)]),
    ("sourceParentProcessInfo.name", &[Text(f::PROCESS_PARENT_NAME)]),
    ("sourceParentProcessInfo.filePath", &[Text(f::PROCESS_PARENT_EXECUTABLE)]),
    ("sourceParentProcessInfo.commandline", &[Text(f::PROCESS_PARENT_COMMAND_LINE)]),
    ("sourceParentProcessInfo.pid", &[Pid(f::PROCESS_PARENT_PID)]),
    ("sourceParentProcessInfo.uniqueId", &[Text(f::PROCESS_PARENT_ENTITY_ID)]),
    ("sourceParentProcessInfo.fileHashSha1", &[Lower(f::PROCESS_PARENT_HASH_SHA1)]),
    ("sourceParentProcessInfo.fileHashSha256", &[Lower(f::PROCESS_PARENT_HASH_SHA256)]),
    ("sourceParentProcessInfo.user", &[Text(f::PROCESS_PARENT_USER_NAME)]),
    ("targetProcessInfo.tgtFilePath", &[File]),
    ("targetProcessInfo.tgtFileOldPath", &[Text(f::FILE_EXT_ORIGINAL_PATH)]),
    ("targetProcessInfo.tgtFileHashSha1", &[Lower(f::FILE_HASH_SHA1)]),
    ("targetProcessInfo.tgtFileHashSha256", &[Lower(f::FILE_HASH_SHA256)]),
    ("targetProcessInfo.tgtFileCreatedAt", &[Time(f::FILE_CREATED)]),
    ("targetProcessInfo.tgtFileModifiedAt", &[Time(f::FILE_MTIME)]),
];

fn os_type(sheet: &mut Sheet, os: &str) {
    let os = match os {
        "windows" | "windows_legacy" => "windows",
        "linux" => "linux",
        "macos" | "osx" => "macos",
        _ => return,
    };
    sheet.put(f::HOST_OS_TYPE, os);
}

/// Addresses, separated by commas.
fn addresses(sheet: &mut Sheet, list: &str) {
    for address in list.split(',').filter_map(text::ip) {
        sheet.add_ip(f::HOST_IP, address);
    }
}

/// `00:11:22:…` in ECS's form, `00-11-22-…`.
fn mac(sheet: &mut Sheet, address: &str) {
    sheet.add_once(f::HOST_MAC, &address.replace(':', "-").to_ascii_uppercase());
}

/// The account that the malicious process ran as; some consoles double the backslash.
fn process_user(sheet: &mut Sheet, account: &str) {
    USER.put(sheet, &account.replace(r"\\", r"\"));
}

fn tactic(sheet: &mut Sheet, name: &str) {
    sheet.put(f::THREAT_FRAMEWORK, "MITRE ATT&CK");
    sheet.add_once(f::THREAT_TACTIC_NAME, name);
}

fn technique(sheet: &mut Sheet, id: &str) {
    sheet.add_once(f::THREAT_TECHNIQUE_ID, id);
}

fn reference(sheet: &mut Sheet, link: &str) {
    sheet.add_once(f::THREAT_TECHNIQUE_REFERENCE, link);
}

fn registry(sheet: &mut Sheet, path: &str) {
    let path = crate::formats::windows::values::registry_root(path);
    sheet.put(f::REGISTRY_PATH, &path);
}
