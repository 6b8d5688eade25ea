"""An ordinary working day of six communes: what must not raise.

Besides the usual noise it holds look-alikes, events that share words with attacks and are none:
deployment agents with encoded PowerShell, backups that list shadow copies, domain controllers that
replicate, administrators' tasks and services.
"""

import base64

from records import DEFENDER, EVENTLOG, POWERSHELL_EXE, SYSTEM32, Host

COMMUNES = {
    # id: (name, host prefix, domain, network, endpoint format)
    "dijon-metropole": ("Dijon Métropole", "DM", "DIJONMETRO", "10.20", "windows"),
    "dijon": ("Dijon", "DIJ", "DIJON", "10.22", "sentinelone-cloud-funnel"),
    "chenove": ("Chenôve", "CHE", "CHENOVE", "10.21", "windows"),
    "quetigny": ("Quetigny", "QUE", "QUETIGNY", "10.23", "sentinelone-cloud-funnel"),
    "talant": ("Talant", "TAL", "TALANT", "10.24", "windows"),
    "longvic": ("Longvic", "LON", "LONGVIC", "10.26", "sentinelone-cloud-funnel"),
}
WEIGHTS = {"dijon-metropole": 26, "dijon": 24, "chenove": 14, "quetigny": 14, "talant": 12, "longvic": 10}

GIVEN = ["Anaïs", "Bruno", "Chloé", "David", "Émilie", "Farid", "Gaëlle", "Hugo", "Inès", "Julien",
         "Karim", "Laure", "Mathieu", "Nadia", "Olivier", "Pauline", "Quentin", "Rachel", "Sofiane", "Valérie"]
FAMILY = ["Aubry", "Besson", "Caron", "Dumont", "Etienne", "Faivre", "Girard", "Humbert", "Jacob", "Lacroix",
          "Marchal", "Noël", "Olivier", "Pernot", "Renaud", "Simon", "Thomas", "Vautrin", "Weber", "Zeller"]
PLAIN = str.maketrans("éèëêïîôàçÉ", "eeeeiioacE")

EXPLORER = "C:\\Windows\\explorer.exe"
SERVICES = SYSTEM32 + "services.exe"
SVCHOST = SYSTEM32 + "svchost.exe"
CCM = "C:\\Windows\\CCM\\CcmExec.exe"
EDGE = "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe"
FIREFOX = "C:\\Program Files\\Mozilla Firefox\\firefox.exe"
WORD = "C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE"
EXCEL = "C:\\Program Files\\Microsoft Office\\root\\Office16\\EXCEL.EXE"
OUTLOOK = "C:\\Program Files\\Microsoft Office\\root\\Office16\\OUTLOOK.EXE"
OFFICE = "C:\\Program Files\\LibreOffice\\program\\soffice.bin"
SENTINEL = "C:\\Program Files\\SentinelOne\\Sentinel Agent\\SentinelAgent.exe"
BACKUP = "C:\\Program Files\\Sauvegarde\\agent.exe"

PROGRAMS = [
    (EDGE, "\"%s\" --type=renderer --lang=fr", EDGE),
    (EDGE, "\"%s\" https://intranet.{net}.example/", EXPLORER),
    (FIREFOX, "\"%s\" -contentproc -childID 4", FIREFOX),
    (WORD, "\"%s\" /n \"\\\\{net}-srv-fic\\Urbanisme\\permis-{n}.docx\"", EXPLORER),
    (EXCEL, "\"%s\" \"\\\\{net}-srv-fic\\Finances\\budget-{n}.xlsx\"", EXPLORER),
    (OUTLOOK, "\"%s\"", EXPLORER),
    (OFFICE, "\"%s\" --calc planning-{n}.ods", EXPLORER),
    ("C:\\Program Files\\EtatCivil\\etatcivil.exe", "\"%s\" /poste={n}", EXPLORER),
    ("C:\\Program Files\\QGIS\\bin\\qgis-bin.exe", "\"%s\" cadastre-{n}.qgz", EXPLORER),
    (SYSTEM32 + "notepad.exe", "notepad.exe notes-{n}.txt", EXPLORER),
    (SYSTEM32 + "taskhostw.exe", "taskhostw.exe Install $(Arg0)", SVCHOST),
    (SYSTEM32 + "backgroundTaskHost.exe", "\"%s\" -ServerName:App.AppX{n}.mca", SVCHOST),
    (SYSTEM32 + "SearchProtocolHost.exe", "\"%s\" Global\\UsGthrFltPipeMssGthrPipe{n}", SYSTEM32 + "SearchIndexer.exe"),
    (SYSTEM32 + "conhost.exe", "\\??\\C:\\Windows\\system32\\conhost.exe 0xffffffff -ForceV1", SYSTEM32 + "cmd.exe"),
    (SYSTEM32 + "spoolsv.exe", "C:\\Windows\\System32\\spoolsv.exe", SERVICES),
]
SITES = [("www.service-public.example", "198.51.100.20"), ("chorus-factures.example", "198.51.100.31"),
         ("actes.prefecture.example", "198.51.100.44"), ("meteo-bourgogne.example", "192.0.2.61"),
         ("visio.metropole.example", "192.0.2.70"), ("maj.editeur-bureau.example", "192.0.2.88"),
         ("stockage-agents.example", "198.51.100.90"), ("transports-divia.example", "192.0.2.93")]
APPS = [("org.osmand", "OsmAnd", "4.8.2"), ("fr.metropole.agents", "Agents Métropole", "2.3.0"),
        ("com.microsoft.office.outlook", "Outlook", "4.2412.1"), ("org.thoughtcrime.securesms", "Signal", "7.27.1"),
        ("fr.meteo", "Météo", "6.11.0"), ("org.videolan.vlc", "VLC", "3.6.0")]


def agent_name(rng):
    given, family = rng.choice(GIVEN), rng.choice(FAMILY)
    login = f"{given[0]}.{family}".translate(PLAIN).lower()
    return f"{given} {family}", login


def estate(rng):
    """Hosts and phones by commune, the same each time."""
    hosts, phones = {}, {}
    for commune, (_, prefix, domain, net, _) in COMMUNES.items():
        size = 4 + WEIGHTS[commune] // 2
        hosts[commune] = [
            Host(f"{prefix}-PC-{rng.randrange(20, 99)}{n:02}", domain, f"{net}.4.{20 + n}", agent_name(rng)[1])
            for n in range(size)
        ] + [
            Host(f"{prefix}-SRV-{role}", domain, f"{net}.0.{11 + n}", f"svc-{role.lower()}",
                 os_name="Windows Server 2022", kind="server")
            for n, role in enumerate(["FIC01", "APP01", "SQL01"])
        ]
        phones[commune] = []
        for n in range(size):
            name, login = agent_name(rng)
            ios = n % 3 == 2
            phones[commune].append({
                "id": "".join(rng.choices("abcdefghijkmnpqrstuvwxyz23456789", k=22)),
                "serial": f"R5{prefix}{rng.randrange(10_000, 99_999)}",
                "name": name, "email": f"{login}@{commune}.example",
                "os": "iOS" if ios else "Android", "version": "18.2" if ios else "14",
                "patch": "2026-01-01T00:00:00.000Z", "model": "iPhone 13" if ios else "SM-A546B",
                "byod": n % 5 == 4,
            })
    hosts["dijon-metropole"] += [
        Host(f"DM-DC0{n}", "DIJONMETRO", f"10.20.0.{4 + n}", "adm-rey", os_name="Windows Server 2022", kind="server")
        for n in (1, 2)
    ]
    return hosts, phones


def _command(rng, host):
    image, command, parent = rng.choice(PROGRAMS)
    net = host.name.split("-")[0].lower()
    return image, command.replace("%s", image).format(net=net, n=rng.randrange(1, 900)), parent


def windows(r, host, beats, controllers):
    """One ordinary event of a Windows channel."""
    rng = r.rng
    options = {"beats": beats}
    if host in controllers:
        return domain_controller(r, host, controllers)
    kind = rng.choices(["process", "network", "dns", "registry", "file", "logon", "audit", "script", "pipe"],
                       [26, 22, 18, 12, 9, 7, 3, 2, 1])[0]
    site, ip = rng.choice(SITES)
    browser = rng.choice([EDGE, FIREFOX, OUTLOOK, SVCHOST])
    if kind == "process":
        image, command, parent = _command(rng, host)
        return r.process(host, image, command, parent, **options)
    if kind == "network":
        return r.network(host, browser, ip, 443, site, **options)
    if kind == "dns":
        return r.dns(host, browser, site, ip, **options)
    if kind == "registry":
        return r.registry(host, *rng.choice([
            (EXPLORER, "HKU\\S-1-5-21-1004336348-1177238915-682003330-1142\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Explorer\\RecentDocs\\MRUListEx", "Binary Data"),
            (WORD, "HKU\\S-1-5-21-1004336348-1177238915-682003330-1142\\SOFTWARE\\Microsoft\\Office\\16.0\\Word\\Reading Locations\\Datetime", "2026-03-03T08:12"),
            (SVCHOST, "HKLM\\System\\CurrentControlSet\\Services\\Tcpip\\Parameters\\Interfaces\\DhcpIPAddress", host.ip),
            (SERVICES, "HKLM\\System\\CurrentControlSet\\Services\\BITS\\Start", "DWORD (0x00000003)"),
        ]), **options)
    if kind == "file":
        return r.file(host, *rng.choice([
            (WORD, f"C:\\Users\\{host.user}\\Documents\\~$permis-{rng.randrange(900)}.docx"),
            (EDGE, f"C:\\Users\\{host.user}\\Downloads\\deliberation-{rng.randrange(900)}.pdf"),
            (EXPLORER, f"C:\\Users\\{host.user}\\Desktop\\Nouveau dossier ({rng.randrange(9)})\\plan.dwg"),
        ]), **options)
    if kind == "logon":
        return r.logon(host, host.user, kind=rng.choice([2, 3, 7, 11]), ip=host.ip, **options)
    if kind == "audit":
        image, command, parent = _command(rng, host)
        return r.process_4688(host, image, command, parent, **options)
    if kind == "script":
        return r.script(host, "Get-ADUser -Filter * -Properties Department | Export-Csv annuaire.csv", **options)
    return r.pipe(host, SVCHOST, rng.choice(["\\wkssvc", "\\srvsvc", "\\lsass", "\\spoolss"]), **options)


def domain_controller(r, host, controllers):
    """Logons, tickets and replication on a domain controller."""
    rng = r.rng
    user = agent_name(rng)[1]
    peer = next(c for c in controllers if c is not host)
    ticket = {"TargetUserName": f"{user}@DIJONMETRO.EXAMPLE", "TargetDomainName": "DIJONMETRO.EXAMPLE",
              "TicketOptions": "0x40810000", "TicketEncryptionType": "0x12", "Status": "0x0",
              "IpAddress": f"::ffff:10.2{rng.randrange(7)}.4.{rng.randrange(20, 60)}", "IpPort": "50754"}
    kind = rng.choices(["tgs", "tgt", "logon", "replication", "failed", "read"], [40, 20, 30, 4, 2, 4])[0]
    if kind == "tgs":
        service = rng.choice(["DM-SRV-FIC01$", "DM-SRV-APP01$", "QUE-SRV-FIC01$", "svc-sig", "svc-paie"])
        return r.security(host, 4769, ticket | {"ServiceName": service, "ServiceSid": "S-1-5-21-1004336348-1177238915-682003330-1611"},
                          "Kerberos Service Ticket Operations")
    if kind == "tgt":
        return r.security(host, 4768, ticket | {"TargetUserName": user, "ServiceName": "krbtgt", "PreAuthType": "2"},
                          "Kerberos Authentication Service")
    if kind == "logon":
        return r.logon(host, user, ip=f"10.2{rng.randrange(7)}.4.{rng.randrange(20, 60)}")
    if kind == "failed":
        return r.security(host, 4625, {
            "SubjectUserName": "-", "TargetUserName": user, "TargetDomainName": "DIJONMETRO", "Status": "0xc000006d",
            "SubStatus": "0xc000006a", "LogonType": "3", "LogonProcessName": "NtLmSsp ",
            "AuthenticationPackageName": "NTLM", "IpAddress": f"10.20.4.{rng.randrange(20, 60)}", "IpPort": "50112",
        }, "Logon")
    properties, mask = ("%%7688\r\n\t\t{1131f6ad-9c07-11d1-f79f-00c04fc2dcd2}\r\n", "0x100")
    subject = f"{peer.name}$"
    if kind == "read":
        properties, mask, subject = "%%7684\r\n\t{bf967aba-0de6-11d0-a285-00aa003049e2}\r\n", "0x10", user
    return r.security(host, 4662, {
        "SubjectUserSid": "S-1-5-21-1004336348-1177238915-682003330-1002", "SubjectUserName": subject,
        "SubjectDomainName": "DIJONMETRO", "SubjectLogonId": "0x" + r.hex(6), "ObjectServer": "DS",
        "ObjectType": "%{19195a5b-6da0-11d0-afd3-00c04fd930c9}", "OperationType": "Object Access",
        "AccessMask": mask, "Properties": properties,
    }, "Directory Service Access")


def funnel(r, host):
    """One ordinary event of Cloud Funnel."""
    rng = r.rng
    site, ip = rng.choice(SITES)
    image, command, parent = _command(rng, host)
    kind = rng.choices(["process", "network", "dns", "file", "registry"], [32, 26, 18, 14, 10])[0]
    if kind == "process":
        return r.funnel_process(host, image, command, parent)
    if kind == "network":
        return r.funnel_network(host, EDGE, f"\"{EDGE}\" --type=utility", ip, 443)
    if kind == "dns":
        return r.funnel_dns(host, EDGE, f"\"{EDGE}\" --type=utility", site, ip)
    if kind == "file":
        return r.funnel_file(host, EDGE, f"\"{EDGE}\"", f"C:\\Users\\{host.user}\\Downloads\\convocation-{rng.randrange(900)}.pdf")
    return r.funnel_registry(host, image, command, f"USER\\S-1-5-21-7-7-7-1142\\SOFTWARE\\Editeur\\Fenetre\\Position{rng.randrange(9)}",
                             str(rng.randrange(2000)), "DWORD")


def phone(r, owner):
    """One ordinary notification of the mobile threat defence."""
    rng = r.rng
    kind = rng.choices(["app", "bluetooth", "correlation", "update", "developer", "detection"], [40, 25, 15, 12, 4, 4])[0]
    if kind == "app":
        return r.phone_app(owner, rng.choice(APPS), "Approved", "Green")
    if kind == "bluetooth":
        return r.phone_status(owner, "Network", rng.choice(["Bluetooth", "GPS", "NFC"]), rng.randrange(2))
    if kind == "correlation":
        return r.phone_correlation(owner, system=rng.choice(["Green", "Orange"]))
    if kind == "update":
        return r.phone_history(owner, "SystemNotUpToDate", rng.randrange(2))
    if kind == "developer":
        return r.phone_status(owner, "System", "DeveloperMode", 1)
    return r.phone_detection(owner, "match_bluetooth", "BlueTooth activation", rng.choice(["START", "END"]))


def console(r, hosts):
    """One ordinary entry of the SentinelOne console."""
    rng = r.rng
    host = rng.choice(hosts)
    kind = rng.randrange(5)
    if kind == 0:
        return r.activity(27, "The management user Rey logged in to the management console with IP Address 10.20.4.21.",
                          {"username": "Rey", "role": "Admin", "ipAddress": "10.20.4.21"})
    if kind == 1:
        return r.activity(71, f"System initiated a full disk scan to the agent: {host.name} ({host.ip}).", {"system": True}, host)
    if kind == 2:
        return r.activity(120, f"The {host.name} Agent is enabled due to time expiration.", {"enabledReason": "expired"}, host)
    if kind == 3:
        return r.activity(5126, f"USB device Clavier was connected on {host.name}.",
                          {"eventType": "connected", "interface": "USB", "deviceName": "Clavier"}, host)
    return r.threat(host, "barre-outils.exe", f"\\Device\\HarddiskVolume3\\Users\\{host.user}\\Downloads\\barre-outils.exe",
                    confidence="suspicious", classification="PUA", mitigation="mitigated", incident="resolved")


def lookalikes(r, hosts):
    """Events that resemble an attack and are none, as (commune, record)."""
    inventory = base64.b64encode("Get-CimInstance Win32_BIOS | ConvertTo-Json".encode("utf-16le")).decode()
    pc, server = hosts["chenove"][0], hosts["dijon-metropole"][-5]
    beats, remote = hosts["talant"][1], hosts["quetigny"][-1]
    away, dc = hosts["longvic"][2], hosts["dijon-metropole"][-2]
    trace = "C:\\Windows\\SYSTEM32\\ntdll.dll+9f934|C:\\Windows\\System32\\KERNELBASE.dll+44a5e"
    yield "chenove", r.process(pc, POWERSHELL_EXE, f"powershell.exe -NonInteractive -EncodedCommand {inventory}", CCM)
    yield "chenove", r.process(pc, SYSTEM32 + "rundll32.exe", "rundll32.exe printui.dll,PrintUIEntry /p /n \"ACCUEIL\"", WORD)
    yield "chenove", r.process(pc, SYSTEM32 + "certutil.exe", "certutil -hashfile plan.pdf SHA256", SYSTEM32 + "cmd.exe")
    yield "chenove", r.access(pc, SENTINEL, SYSTEM32 + "lsass.exe", "0x1410", trace, user="NT AUTHORITY\\SYSTEM")
    yield "chenove", r.access(pc, SVCHOST, SYSTEM32 + "lsass.exe", "0x1000", trace, user="NT AUTHORITY\\SYSTEM")
    yield "chenove", r.registry(pc, f"C:\\Users\\{pc.user}\\AppData\\Local\\Microsoft\\OneDrive\\OneDrive.exe",
                                "HKU\\S-1-5-21-1004336348-1177238915-682003330-1142\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run\\OneDrive",
                                f"\"C:\\Users\\{pc.user}\\AppData\\Local\\Microsoft\\OneDrive\\OneDrive.exe\" /background")
    yield "chenove", r.windows(pc, DEFENDER, 2000, {"Product Name": "Microsoft Defender Antivirus", "Current Signature Version": "1.421.1.0"})
    yield "dijon-metropole", r.process(server, SYSTEM32 + "vssadmin.exe", "vssadmin list shadows", BACKUP, user="NT AUTHORITY\\SYSTEM")
    yield "dijon-metropole", r.process(server, SYSTEM32 + "schtasks.exe",
                                       "schtasks /create /tn \"Sauvegarde nuit\" /tr \"C:\\Program Files\\Sauvegarde\\agent.exe\" /sc daily /st 02:00 /ru SYSTEM",
                                       SYSTEM32 + "cmd.exe", integrity="High")
    yield "dijon-metropole", r.service(server, "Sauvegarde", "\"C:\\Program Files\\Sauvegarde\\agent.exe\" --service", start="auto start")
    yield "dijon-metropole", r.process(server, SYSTEM32 + "bcdedit.exe", "bcdedit /enum all", SYSTEM32 + "cmd.exe", integrity="High")
    yield "dijon-metropole", r.process(server, SYSTEM32 + "wevtutil.exe", "wevtutil qe System /c:20 /f:text", SYSTEM32 + "cmd.exe")
    yield "dijon-metropole", r.security(dc, 4728, {
        "SubjectUserName": "adm-rey", "SubjectDomainName": "DIJONMETRO", "MemberName": "CN=Faivre Laure,OU=Agents,DC=dijonmetro,DC=example",
        "TargetUserName": "GG-Urbanisme-Lecture", "TargetSid": "S-1-5-21-1004336348-1177238915-682003330-2512",
    }, "Security Group Management")
    yield "dijon-metropole", r.windows(dc, EVENTLOG, 1100, {})
    yield "talant", r.process(beats, SYSTEM32 + "regsvr32.exe", "regsvr32 /s \"C:\\Program Files\\Scanner\\twain64.dll\"", SYSTEM32 + "msiexec.exe", beats=True)
    yield "talant", r.script(beats, "Invoke-WebRequest -Uri https://intranet.talant.example/etat -UseBasicParsing | Select-Object StatusCode", beats=True)
    yield "talant", r.logon(beats, beats.user, kind=9, package="Negotiate", process="Advapi  ", beats=True)
    yield "quetigny", r.funnel_process(remote, SYSTEM32 + "vssadmin.exe", "vssadmin list shadows", BACKUP, user="NT AUTHORITY\\SYSTEM")
    yield "quetigny", r.funnel_process(remote, POWERSHELL_EXE, "powershell.exe -File C:\\Windows\\CCM\\SystemTemp\\inv.ps1",
                                       SYSTEM32 + "wbem\\WmiPrvSE.exe", user="NT AUTHORITY\\SYSTEM")
    yield "longvic", r.funnel_process(away, "C:\\Program Files\\7-Zip\\7z.exe", "7z.exe a C:\\Users\\Public\\plans.7z plans", EXPLORER)
    yield "longvic", r.funnel_process(away, SYSTEM32 + "Robocopy.exe", "robocopy D:\\Partages \\\\lon-srv-fic01\\D$ /MIR", SYSTEM32 + "cmd.exe")
