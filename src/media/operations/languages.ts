/** Codes of languages (ISO 639): containers hold three letters, players read two where a language has them. */

/** 639-1 and 639-2/T. */
const PAIRS =
  "aa:aar ab:abk af:afr ak:aka am:amh ar:ara as:asm az:aze ba:bak be:bel bg:bul bm:bam bn:ben bo:bod br:bre bs:bos " +
  "ca:cat co:cos cs:ces cv:chv cy:cym da:dan de:deu dv:div dz:dzo ee:ewe el:ell en:eng eo:epo es:spa et:est eu:eus " +
  "fa:fas ff:ful fi:fin fj:fij fo:fao fr:fra fy:fry ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau he:heb hi:hin " +
  "hr:hrv ht:hat hu:hun hy:hye ia:ina id:ind ie:ile ig:ibo is:isl it:ita iu:iku ja:jpn jv:jav ka:kat kg:kon ki:kik " +
  "kk:kaz kl:kal km:khm kn:kan ko:kor ks:kas ku:kur kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit " +
  "lv:lav mg:mlg mi:mri mk:mkd ml:mal mn:mon mr:mar ms:msa mt:mlt my:mya nb:nob nd:nde ne:nep nl:nld nn:nno no:nor " +
  "nr:nbl nv:nav ny:nya oc:oci om:orm or:ori os:oss pa:pan pl:pol ps:pus pt:por qu:que rm:roh rn:run ro:ron ru:rus " +
  "rw:kin sa:san sc:srd sd:snd se:sme sg:sag si:sin sk:slk sl:slv sm:smo sn:sna so:som sq:sqi sr:srp ss:ssw st:sot " +
  "su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi " +
  "ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho zu:zul";

/** Of 639-2/B, where it differs: older files have it. */
const BIBLIOGRAPHIC =
  "sq:alb hy:arm eu:baq my:bur zh:chi cs:cze nl:dut fr:fre ka:geo de:ger el:gre is:ice mk:mac mi:mao ms:may fa:per ro:rum " +
  "sk:slo bo:tib cy:wel";

const pairs = (text: string): [short: string, long: string][] =>
  text.split(" ").map((pair) => [pair.slice(0, 2), pair.slice(3)]);

const threeLetters: ReadonlyMap<string, string> = new Map(pairs(PAIRS));
const twoLetters: ReadonlyMap<string, string> = new Map(
  [...pairs(PAIRS), ...pairs(BIBLIOGRAPHIC)].map(([short, long]) => [long, short]),
);

/** `en`, `eng` and `en-GB` alike become `eng`; null for what is no code. */
export function languageCode(tag: string): string | null {
  const match = /^([a-z]{2,3})(?:-[a-z0-9-]{1,32})?$/.exec(tag);
  const [, code = ""] = match ?? [];
  if (code.length === 3) return code;
  return threeLetters.get(code) ?? null;
}

/** `eng`, `en` and `en-GB` alike become `en`; what has no two letters, its first part. */
export function shortLanguage(tag: string): string {
  const [primary = tag] = tag.toLowerCase().split("-");
  return twoLetters.get(primary) ?? primary;
}
