"""Spanish."""

from __future__ import annotations

from typing import Final

from whatsapp_mcp.demo.languages.language import Language, lines, words

SPANISH: Final = Language(
    code="es",
    currency="euros",
    first_names=words(
        "Carmen José Lucía Antonio Elena Javier Marta Pablo Isabel Diego Rosa Álvaro Pilar Sergio Inés Raúl Teresa Andrés "
        "Nuria Hugo Beatriz Óscar Silvia Rubén Clara Joaquín Begoña Íñigo"
    ),
    last_names=words(
        "Molina Vega Navarro Campos Rivas Ortega Serrano Peña Ibáñez Muñoz Castaño Robles Soler Luna Prado Fuentes Arroyo"
    ),
    group_names=lines("""
        Familia
        Amigos del barrio
        Viaje a Sevilla
        Padres de 4º
        Fútbol los jueves
        Compañeros de piso
        Club de lectura
        Cena de Navidad
    """),
    short=lines("""
        sí
        no
        vale
        ¡gracias!
        claro
        de nada
        ya voy
        jajaja
        buenos días
        buenas noches
        ¡feliz cumpleaños!
        enhorabuena
        exacto
        todavía no
        ¿por qué?
        llámame
        hecho
        perfecto
        hasta mañana
        ¿en serio?
        un abrazo
    """),
    sentences=lines("""
        ¿Vienes a {p} {t}?
        Me dejé {n} en {p}
        ¿Puedes traer {n} {t}?
        Mira {n}, es muy {j}, te mando foto
        Hacen falta {k} kilos de {f}
        Quedamos en {p} a las {h}
        {a} dice que {n} llega {t}
        ¿Cuánto pagaste por {n}?
        Costó {m}, bastante {j}
        No olvides {n} ni {f}
        Estoy en {p}, ¿dónde estáis?
        La reunión pasa a las {h}
        ¿Hablaste con {a} sobre {n}?
        Otra vez se rompió {n}, ¿quién lo arregla?
        Me viene mejor {t}
        Compré {f} y {f}
        ¿Cenamos en casa {t}? {a} prepara {f}
        Hay mucho tráfico cerca de {p}
        Mándame {n} antes de las {h}
        El vuelo llega a las {h}, puerta {k}
        El médico cambió la cita al {d}
        Qué {j} está {n}
        Hice una transferencia de {m} esta mañana
        Revisa {n} cuando llegues a casa
        {a} espera delante de {p}
        El casero pide {m} por {n}
        Terminamos el capítulo {k}, muy {j}
        Encantado de ayudar con {n}
        ¿Sigue a la venta {n}?
        Encontré {n} detrás del sofá
        A los niños les gustó la receta con {f}
        Recuérdame llamar a {a} {t}
        Cierran a las {h}
        El tiempo en {p} está {j}
        Hay que devolver {n} antes del {d}
        ¿A qué hora sale {a} del trabajo?
        El informe es para el {d}, falta la página {k}
        El nuevo precio es {m}
        Llego {k} minutos tarde
        Saluda a {a} de mi parte
        Hay que planear el viaje a {p}
        ¿Podemos aplazarlo al {d}?
        Ya pagué {m} por las entradas
        ¿Quién tiene la llave de {p}?
    """),
    things=words(
        "la_mesa la_llave el_móvil el_portátil el_contrato la_entrada el_paquete el_libro la_bici el_cargador el_paraguas "
        "el_pasaporte el_recibo la_cámara la_chaqueta el_sofá la_lámpara la_impresora la_escalera el_espejo la_alfombra "
        "la_guitarra la_mochila el_teclado la_pantalla la_nevera el_horno el_colchón la_manta la_cortina el_armario el_cajón "
        "el_martillo la_pintura el_casco el_patinete el_cuaderno el_sobre el_cartel el_altavoz el_proyector la_batería "
        "el_cable la_brújula la_cuerda la_raqueta el_trofeo el_título la_fianza el_presupuesto la_receta el_termómetro "
        "la_bufanda el_guante el_jersey las_botas la_pulsera el_collar el_perfume la_vela el_jarrón el_grifo el_timbre "
        "la_persiana el_montaje la_maleta el_abanico la_sartén"
    ),
    places=words(
        "la_oficina casa la_escuela la_estación el_aeropuerto el_parque el_mercado el_banco la_biblioteca el_hospital "
        "el_museo la_playa el_puerto la_panadería la_farmacia el_teatro el_estadio el_taller el_cine el_lago el_castillo "
        "el_puente la_embajada el_almacén la_clínica la_bodega la_plaza"
    ),
    foods=words(
        "café pan queso ensalada sopa tarta manzanas huevos leche arroz pasta pollo salmón tomates galletas patatas "
        "aceitunas fresas plátanos chocolate miel yogur limones setas gazpacho tortilla paella jamón croquetas churros "
        "almendras canela calabaza"
    ),
    times=words(
        "mañana hoy esta_noche el_viernes el_lunes la_semana_que_viene el_domingo al_mediodía el_jueves por_la_mañana "
        "el_martes este_finde el_sábado dentro_de_una_hora el_miércoles antes_de_comer el_mes_que_viene por_la_tarde "
        "después_de_Reyes"
    ),
    adjectives=words(
        "bien bonito grande caro frío pesado barato tarde tranquilo raro ruidoso vacío roto rico perfecto pequeño enorme "
        "precioso resbaladizo maravilloso ridículo lleno brillante suave moderno antiguo frágil"
    ),
    captions=lines("""
        mira esto
        las vistas
        la cocina nueva
        el recibo
        atardecer de ayer
        antes y después
        el menú
        ¿qué os parece?
    """),
    documents=words("factura-2024-09.pdf contrato.docx presupuesto.xlsx horario.pdf billete.pdf"),
    polls=lines("""
        ¿Qué día?|martes|jueves|sábado
        ¿Qué pedimos?|pizza|sushi|tapas
    """),
    addresses=lines("""
        Biblioteca municipal|Calle Ficticia 1
        Café Luna|Avenida Ejemplo 22
    """),
)
