"""Words of courtesy in languages other than English, and words that say nothing beside them.

A sentence of nothing else is not read when a request's difficulty is judged (:mod:`ofox_middleware.plain_text`).
Scripts without spaces are given by phrases: the grams they are split into stand for words. What everyday English uses
for something else is left out.
"""

from __future__ import annotations

COURTESIES = {
    "de": "danke dank dankbar danken bedanke hallo moin servus grüß grüße grüßen gruß bitte bitten entschuldigung "
    "entschuldige entschuldigen verzeihung sorry hoffe hoffentlich freundlich freundlichen freundlicherweise "
    "geehrte geehrter tschüss hilfe helfen hilfst hilfreich guten schönen",
    "fr": "bonjour bonsoir salut merci mercis remercie remercier remerciant svp plaît plait prie excusez excuse "
    "désolé désolée pardon espère espérant cordialement gentil gentille gentillesse coucou aide reconnaissant "
    "reconnaissante stp",
    "es": "hola gracias buenos buenas favor saludos saludo cordiales cordial espero perdón perdona perdone disculpa "
    "disculpe disculpas siento estimado estimada querido querida agradezco agradecería agradecido agradecida "
    "ayuda ayudarme antemano amable",
    "pt": "olá oi obrigado obrigada obrigados bom boa favor gentileza desculpe desculpa desculpas perdão espero "
    "prezado prezada agradeço agradeceria agradecido agradecida abraço abraços cumprimentos ajuda tchau "
    "licença",
    "it": "ciao buongiorno buonasera salve grazie ringrazio ringraziare ringraziando prego favore cortesia scusa "
    "scusi scusate scusami spero gentile gentilmente cortesemente saluti saluto cordiali aiuto aiutarmi grato "
    "grata dispiace",
    "nl": "hallo hoi goedemorgen goedemiddag goedenavond bedankt dank dankjewel dankuwel alsjeblieft alstublieft "
    "graag sorry hopelijk beste geachte groet groeten vriendelijke vriendelijk hulp helpen alvast",
    "pl": "cześć hej witam witaj dobry dziękuję dziękuje dziękujemy dzięki proszę prosze prosiłbym prosiłabym "
    "przepraszam nadzieję pozdrawiam pozdrowienia szanowny szanowna szanowni uprzejmie wdzięczny wdzięczna",
    "ru": "здравствуйте здравствуй привет приветствую добрый доброе спасибо благодарю благодарен благодарна "
    "признателен пожалуйста извините извини простите прости надеюсь уважаемый уважаемая уважаемые уважением "
    "помогите любезны",
    "uk": "привіт вітаю добрий добридень дякую вдячний вдячна вдячні прошу перепрошую вибачте вибач сподіваюся "
    "сподіваюсь шановний шановна повагою допоможіть ласка",
    "tr": "merhaba merhabalar selam selamlar günaydın günler akşamlar geceler teşekkürler teşekkür ederim ederiz "
    "lütfen rica pardon kusura affedersiniz özür umarım sayın sevgili saygılar saygılarımla sağol sağolun "
    "memnun zahmet gelsin",
    "ar": "السلام وعليكم عليكم مرحبا أهلا اهلا تحية تحياتي شكرا شكراً أشكرك اشكرك أشكركم مشكور جزيلا جزيلاً فضلك "
    "لطفك رجاء رجاءً الرجاء أرجو ارجو عذرا عذراً آسف أتمنى اتمنى عزيزي عزيزتي بخير ممتن صباح مساء",
    "hi": "नमस्ते नमस्कार प्रणाम हैलो हेलो धन्यवाद शुक्रिया आभार आभारी कृपया कृपा माफ़ माफ़ी क्षमा आशा उम्मीद आदरणीय "
    "प्रिय सुप्रभात शुभ",
    "zh": "你好 您好 大家好 早上好 下午好 晚上好 早安 晚安 谢谢 谢谢你 谢谢您 多谢 感谢 非常感谢 感谢你的 "
    "感谢您的 麻烦 劳烦 拜托 请问 打扰 抱歉 不好意思 对不起 辛苦了 祝好 希望你 希望您 您好呀 你好啊 "
    "帮忙 謝謝 請問 麻煩 感謝 您辛苦了",
    "ja": "こんにちは こんばんは おはよう おはようございます はじめまして お世話になって ありがとう "
    "ありがとうございます 有難う 感謝 よろしく お願いします お願いいたします お願い致します 宜しく "
    "すみません すいません 恐れ入ります 恐縮です 申し訳 ごめんなさい 失礼します お疲れ様 お忙しい "
    "助かります",
    "ko": "안녕 안녕하세요 안녕하십니까 반갑습니다 반가워요 감사 감사합니다 감사해요 감사드립니다 "
    "감사하겠습니다 고마워 고마워요 고맙습니다 부탁 부탁해 부탁해요 부탁드려요 부탁드립니다 부탁합니다 "
    "죄송 죄송합니다 죄송하지만 미안 미안해 미안합니다 실례합니다 실례지만 수고하세요 수고하셨습니다 "
    "도움 도와주셔서 도와주세요 도와줘서 지내세요 지내셨나요",
    "vi": "chào ơn cám xin phiền lòng nhờ chúc mong kính trân trọng quý giúp đỡ",
    "th": "สวัสดี สวัสดีครับ สวัสดีค่ะ ขอบคุณ ขอบคุณครับ ขอบคุณค่ะ ขอบคุณมาก ขอบคุณมากครับ ขอบคุณมากค่ะ ขอบพระคุณ "
    "ขอโทษ ขอโทษครับ ขอโทษค่ะ รบกวน รบกวนหน่อย ขออภัย กรุณา",
    "id": "halo hai selamat terima kasih makasih mohon tolong maaf permisi salam semoga hormat",
}  # fmt: skip
"""Words of which a courtesy has at least one, by language."""

BESIDE = {
    "de": "ich du sie er es wir ihr mir mich dir dich ihnen ihre ihren ihrem ihrer dein deine deinen deiner mein "
    "meine uns euch der die das den dem des ein eine einen einem einer und oder aber auch so sehr viel viele "
    "vielen vielmals herzlich herzliche herzlichen ganz noch mal einmal nochmal wieder schon jetzt heute "
    "gerade kurz bald gut gute guter geht ist bin bist sind waren wäre wären kann kannst können könnte "
    "könntest könnten würde würdest würden hätte hast habe haben wenn dass ob weil wie geht's gehts freue "
    "freut für mit zu zum zur im in am an auf bei von vom um nicht nein ja okay alles allem frage fragen zeit "
    "mühe unterstützung antwort rückmeldung störung stören störe nur weiter weiterhin schön schöne schönes "
    "tolle toll prima wirklich echt wünsche wünschen wohl damen herren team möglich nett lass sein etwas dabei "
    "dafür tut leid liebe lieber lieben tag morgen abend voraus geholfen",
    "fr": "je j tu il elle on nous vous me m te t se s le la les l un une des du de d à au aux en et ou mais donc "
    "que qu si ce c cet cette ça ceci pour par avec sans dans sur est es suis êtes sommes sont était serait "
    "serais serai allez vas va vais aller bien très beaucoup mille tout tous toute votre vos ton ta tes mon ma "
    "mes notre nos pas ne n y encore déjà bonne bon belle beau ici aujourd hui maintenant toujours peux peut "
    "pouvez pourriez pourrais pourrait voulez voudrais voudriez ai as avez avons avoir être question questions "
    "temps réponse attention déranger dérange dérangement monsieur madame mesdames messieurs équipe "
    "amicalement sincèrement vraiment fois petit petite moment minute grande hâte lire entendre forme cher "
    "chère journée soirée avance aider moi toi",
    "es": "yo tú tu tus usted ustedes él ella nosotros me te se le les nos lo la los las el un una unos unas de del "
    "al a en y o pero que qué si sí no con por para es eres está estás están esté estés estén estar ser sea "
    "soy muy mucho mucha muchas muchos mil todo toda todos todas bien buen buena bueno mi mis su sus este esta "
    "esto eso ahora hoy luego pronto otra otro vez veces más ya también puedes puede pueden podrías podría "
    "podrían puedo quiero quisiera querría gustaría he has ha han haber tiempo respuesta atención molestia "
    "molestar molesto pregunta preguntas día noche tarde equipo señor señora amigo amiga tan sería hacer ir va "
    "vaya pasar pasando ti momento mejor gran realmente verdad apoyo paciencia abrazo lindo linda días tardes "
    "noches ayudar",
    "pt": "eu tu você vocês ele ela nós me te se lhe nos o a os as um uma uns umas de do da dos das no na nas em ao "
    "à aos e ou mas que sim não com por para pra pelo pela pelos pelas sem é és está estás estão esteja "
    "estejam estar ser seja sou muito muita muitos muitas tudo todo toda todos todas bem meu minha seu sua "
    "seus suas teu tua este esta isso isto agora hoje logo breve outra outro vez vezes mais já também pode "
    "podem poderia poderiam podes posso quero queria gostaria ter tenha tenham tem tempo resposta atenção "
    "incomodar incômodo incomodo pergunta perguntas equipe senhor senhora amigo amiga tão mesmo momento ótimo "
    "ótima ótimos boas dias tardes noites sinto paciência apoio dia tarde noite caro cara desde ajudar",
    "it": "io tu lei lui noi voi mi ti si ci vi lo la le gli il i l un uno una un' di del dello della dei degli "
    "delle a al alla ai alle da dal in nel nella e ed o ma che se sì no non con per su senza è sei sono sia "
    "siate stia stiate stai essere va vada tutto tutta tutti tutte bene molto molta molte tanto tante mille "
    "buon buona buone mio mia tuo tua tuoi suo sua suoi vostro vostra vostri questo questa quello ora adesso "
    "oggi presto ancora già anche più altra altro volta può puoi potete potrebbe potresti potreste posso "
    "vorrei vorremmo avere ha hai tempo risposta attenzione disturbo disturbare disturbarla disturbarti "
    "domanda domande giorno sera notte signore signora amico amica così davvero disponibilità pazienza caro "
    "cara anticipo giornata serata aiutare",
    "nl": "ik jij je u hij zij ze wij we jullie mij me jou jouw uw mijn ons onze het een de dat dit die er en of "
    "maar als met van voor in op aan bij om te ter naar is ben bent zijn was gaat gaan kan kun kunt kunnen zou "
    "zouden wil wilt willen heb hebt heeft hebben goed goede goeden heel erg veel zeer zo ook nog al weer nu "
    "vandaag straks morgen avond middag nacht alles iets niet geen ja nee oké vraag vragen tijd moeite "
    "antwoord reactie lastig storen stoor fijne fijn mooie prettige dagje avondje team heer mevrouw lieve "
    "mogelijk hartelijk hartelijke alle succes hoop dag geholpen",
    "pl": "ja ty on ona my wy pan pani panu państwo państwa mnie mi cię ci się nas nam was wam go jej to ta tę tego "
    "tej i a lub ale że czy jak co w we z ze na do od za o po przy dla bez jest są był była byłoby będzie będę "
    "jestem jesteś masz mam ma mieć miłego miły miła dnia wieczoru nocy tygodnia wszystko wszystkiego bardzo "
    "wielkie serdecznie serdeczne jeszcze raz już teraz dziś dzisiaj znowu też także tak nie może możesz "
    "możecie mógłbyś mogłabyś mogę chciałbym chciałabym porządku dobrze dobra dobre dobrego najlepszego czas "
    "odpowiedź uwagę wsparcie pytanie pytania kłopot przeszkadzam twoją twoja twój waszą twojego swój zespół "
    "dzień wieczór góry pomoc pomocy pomożesz",
    "ru": "я ты он она мы вы мне меня тебе тебя вам вас нам нас вами мой моя моё ваш ваша ваше вашу ваши твой твоя "
    "твою и а но или что чтобы если как так же бы ли не нет да в во на с со у к ко за о об от до по для из это "
    "этот эту всё все всего всем есть был была было быть будет будьте буду дела хорошо хороший хорошего "
    "отлично очень большое огромное сердечно еще ещё раз уже теперь сейчас сегодня снова опять тоже также "
    "можете можешь могли мог могла могу можно хотел хотела хотелось дня вечера ночи доброго доброй время ответ "
    "внимание поддержку вопрос вопросы беспокою беспокойство отвлекаю терпение удачи вопросик наилучшими "
    "пожеланиями искренне рад рада день вечер утро заранее помощь помочь",
    "uk": "я ти він вона ми ви мені мене тобі тебе вам вас нам нас мій моя ваш ваша вашу твою і й та а але або що "
    "щоб якщо як так же б чи не ні в у на з зі із до за о про від по для це цей все усе всього є був була було "
    "бути буде будь добре гарного гарний дуже велике щиро ще раз вже тепер зараз сьогодні знову теж також "
    "можете можеш могли міг могла можу можна хотів хотіла дня вечора ночі доброго час відповідь увагу "
    "підтримку питання турбую терпіння сподобається гаразд справи день вечір ранок заздалегідь допомогу "
    "допомога",
    "tr": "ben sen o biz siz bana beni sana seni sizi bize bizi benim senin sizin bu şu bir çok daha tekrar yine "
    "şimdiden şimdi bugün iyisinizdir iyisindir iyisin iyisiniz nasılsın nasılsınız için ile ve veya ama da de "
    "mi mı mu mü misin misiniz var yok evet hayır tamam olur olurdu olursa olursanız olarak oldu olun ol zaman "
    "zamanınız vaktiniz cevabınız cevap yanıt yanıtınız ilginiz ilgi soru sorum sorun rahatsız ettiğim ettim "
    "ediyorum etmek bakmayın bakma dilerim diliyorum edersiniz edersen edin eder ettiğiniz her şey şeyi "
    "yolundadır gün akşam gece günleriniz gününüz arkadaşım hanım bey ekip gerçekten kadar biraz küçük yardım "
    "İyi iyi kolay yardımın yardımınız yardımcı",
    "ar": "أنا أنت أنتم هو هي نحن هذا هذه ذلك و أو لكن إن أن إذا في من إلى على عن مع لك لكم لي لنا بك ما لا نعم جدا "
    "جداً كثيرا كثيراً كل كلها شيء يوم يومك يوما سعيد سعيدا طيب طيبة طاب خير الخير النور وقت وقتك وقتكم جهدك "
    "جهودك إجابتك رد ردك سؤال سؤالي إزعاج للإزعاج الإزعاج ممكن هل يمكنك تكون تكونوا كنت مرة أخرى الآن اليوم "
    "مقدما مقدماً سلفا ورحمة رحمة الله وبركاته بركاته حالك كيف يا أخي أختي صديقي الكريم الكريمة سيدي سيدتي "
    "مساعدة المساعدة لمساعدتك لمساعدتكم بكم وسهلا مساعدتك مساعدتكم",
    "hi": "मैं तुम आप वह यह हम मुझे मेरा मेरी मेरे आपका आपकी आपके आपको तुम्हारा हमारी का की के को से में पर ने और या "
    "लेकिन कि अगर तो भी ही बहुत बड़ा बड़ी एक बार फिर अभी आज हाँ नहीं है हैं हूँ हो होंगे होगा होगी था थी रहे "
    "रहा करें कर करता करती करना दें दीजिए लिए साथ अच्छे अच्छा अच्छी ठीक सब कुछ कुशल दिन रात संध्या समय जवाब "
    "उत्तर प्रश्न सवाल कष्ट तकलीफ़ परेशान जी भाई सर मैडम चाहता चाहती सकते सकती क्या थोड़ी थोड़ा पहले अग्रिम "
    "मदद सहायता",
    "zh": "你 您 我 我们 你们 他 的 了 吗 呢 吧 啊 呀 哦 是 好 很 太 请 再次 非常 十分 真的 今天 "
    "现在 一下 一切都好 一切顺利 身体健康 工作顺利 生活愉快 祝你 祝您 愉快 今天过得怎么样 过得愉快 "
    "天天开心 的帮助 的帮忙 的耐心 的时间 的支持 的回答 的回复 帮助 帮我 可以帮我 能帮我 能不能帮我 "
    "可不可以帮我 能否 可以 一个问题 个问题 问题 有个问题 我有个问题想请教 想请教您 请教一下 打扰了 "
    "打扰一下 打扰您了 麻烦您了 麻烦你了 麻烦了 在吗 抱歉打扰 不好意思打扰了 提前谢谢 先谢谢了 在此感谢 "
    "给您添麻烦了 期待您的回复 看看 看一下 这个 谢谢你的帮助 谢谢您的帮助 你一切都好 您一切都好 幫助 "
    "你的幫助 幫忙",
    "ja": "です ます ました とても 本当に 大変 いつも どうも どうぞ 何卒 ご協力 ご対応 ご確認 ご回答 "
    "ご返信 助けて いただき 頂き いただけますと幸いです いただけますでしょうか お世話になっております "
    "お世話になります よろしくお願いします よろしくお願いいたします よろしくお願い致します どうぞよろしく "
    "何卒よろしく ありがとうございました 感謝します 感謝いたします 失礼いたします お疲れ様です "
    "お疲れさまです お忙しいところ お忙しいところすみません お忙しいところ恐れ入りますが 恐れ入りますが "
    "すみませんが 申し訳ありません 申し訳ございません 申し訳ありませんが お元気ですか いかがお過ごしですか "
    "今日も 教えてください 助けてください 手伝ってください ちょっと 質問があります 一つ質問があります "
    "いつもお世話に いつもありがとう 助かりました 大変助かります とても助かります お手数をおかけしますが "
    "お手数ですが お時間 お待ちしております ご協力ありがとうございます 本当にありがとう どうもありがとう",
    "ko": "저 제 저는 제가 나 나는 내가 우리 당신 님 선생님 이 그 것 거 수 좀 잘 정말 진짜 매우 "
    "너무 많이 항상 늘 다시 한번 한 번 미리 오늘 오늘도 지금 하루 좋은 즐거운 행복한 되세요 "
    "보내세요 보내시길 바랍니다 바라요 바빠도 바쁘신데 바쁘시겠지만 시간 시간을 내주셔서 내 주셔서 "
    "주시면 주세요 줘 줘서 하나 하나만 질문 질문이 질문을 있어요 있습니다 있는데요 있는데 여쭤볼게요 "
    "여쭤보고 싶어요 물어볼게 번거롭게 귀찮게 해서 해 드려 드려요 드려서 지냈어 지내 지내고 계신가요 "
    "계시죠 네 예 아니요 대단히 진심으로 답변 답변을 기다리겠습니다 빠른 친절한 친절히 도와 도움을 "
    "도움이 될 거예요 큰 이번에도 또 도움에",
    "vi": "tôi bạn em anh chị mình cậu các ông bà và hoặc nhưng là có được không thể cho với của về vì đã đang sẽ "
    "rất nhiều lắm quá một ngày buổi sáng chiều tối tốt lành vui vẻ mọi việc điều khỏe hôm nay bây giờ nữa lại "
    "lần thêm ạ nhé nha vâng dạ câu hỏi thời gian sự hỗ trợ trả lời phản hồi trước tiên thật luôn ổn cả đều "
    "đến này thân mến hy vọng cảm làm lỗi",
    "th": "ครับ ค่ะ คะ นะ นะครับ นะคะ จ้า หน่อย หน่อยครับ หน่อยค่ะ หน่อยนะครับ หน่อยนะคะ มาก มากๆ มากครับ ล่วงหน้า "
    "ขอบคุณล่วงหน้า ขอบคุณล่วงหน้าครับ ขอบคุณล่วงหน้าค่ะ ช่วยหน่อย ช่วยหน่อยครับ ช่วยหน่อยค่ะ ช่วยหน่อยนะครับ "
    "ช่วยหน่อยนะคะ รบกวนช่วยหน่อย รบกวนช่วยหน่อยนะครับ รบกวนช่วยหน่อยนะคะ รบกวนด้วยครับ รบกวนด้วยค่ะ "
    "รบกวนสอบถามหน่อยครับ รบกวนสอบถามหน่อยค่ะ ที่ช่วย ที่ช่วยเหลือ ขอบคุณที่ช่วย ขอบคุณที่ช่วยเหลือ "
    "ขอบคุณสำหรับความช่วยเหลือ สบายดีไหม สบายดีไหมครับ สบายดีไหมคะ หวังว่าคุณสบายดี หวังว่าคงสบายดี "
    "สวัสดีตอนเช้า สวัสดีตอนเย็น ที่รบกวน ขอโทษที่รบกวน",
    "id": "saya aku kamu anda kami kita dia bapak ibu pak bu kak mas mbak ini itu dan atau tapi dengan untuk dari di "
    "ke pada atas yang ya tidak bukan sangat sekali banyak lagi juga sudah sebelumnya sekarang hari pagi siang "
    "sore malam baik baik-baik saja sehat selalu semua semuanya sedikit waktunya waktu jawaban jawabannya "
    "perhatian perhatiannya pertanyaan ada bisa boleh bertanya tanya mengganggu ganggu merepotkan teman tim "
    "besar tengah sini sana dong deh bantuan bantuannya bantu membantu",
}  # fmt: skip
"""Words that say nothing beside one of :data:`COURTESIES`, by language."""
